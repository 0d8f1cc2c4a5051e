'use strict'

/** Calls at the same time. */

const { observe, outcome, answering, success, scenarios, deviation } = require('../harness')

module.exports = [
  ...scenarios('at the same time', {
    'commands of a live sandbox': async (sdk) => {
      const { kit, provider } = observe(sdk, answering(async (line) => {
        await new Promise(setImmediate)
        return { ...success, stdout: line }
      }))
      await kit.executeCommand('first')
      const results = await Promise.all(['a', 'b', 'c'].map((line) => outcome(kit.executeCommand(line))))
      return { results, created: provider.calls.filter(([name]) => name === 'create').length }
    },
    'output of two commands does not mix': async (sdk) => {
      const { kit, events } = observe(sdk, answering(async (line, { onStdout }) => {
        const name = line.slice(-1)
        onStdout(`{"${name}":`)
        await new Promise(setImmediate)
        onStdout('1}')
        return success
      }))
      await kit.executeCommand('0')
      events.length = 0
      await Promise.all([kit.executeCommand('a'), kit.executeCommand('b')])
      return events.map(([, text]) => text).filter((text) => !text.includes('"type"')).sort()
    },
    'a failure beside a success': async (sdk) => {
      const { kit } = observe(sdk, answering(async (line) => (line.endsWith('bad') ? Promise.reject(new Error('bad')) : success)))
      await kit.executeCommand('first')
      return Promise.all(['bad', 'good'].map((line) => outcome(kit.executeCommand(line))))
    },
  }),
  deviation('D4', 'first calls share one sandbox', async (sdk) => {
    const { kit, provider } = observe(sdk, { create: undefined, run: () => success })
    await Promise.all(['a', 'b', 'c'].map((line) => kit.executeCommand(line)))
    return provider.calls.filter(([name]) => name === 'create').length
  }, (ours, theirs, expect) => {
    expect(ours).toBe(1)
    expect(theirs).toBeGreaterThan(1)
  }),
  deviation('D4', 'a kill() while the sandbox is made ends that sandbox', async (sdk) => {
    let make
    const { kit, provider } = observe(sdk, { create: () => new Promise((resolve) => (make = resolve)) })
    const call = outcome(kit.executeCommand('a'))
    while (!make) await new Promise(setImmediate)
    const killed = outcome(kit.kill())
    make(provider.instance('late'))
    await Promise.all([killed, call])
    return provider.calls.filter(([name]) => name === 'kill').length
  }, (ours, theirs, expect) => expect([ours, theirs]).toEqual([1, 0])),
]
