'use strict'

/** Listeners: who is called when with what, and what becomes of those that throw. */

const { once } = require('node:events')
const { observe, outcome, printing, answering, success, scenarios, AGENT, recordingProvider } = require('../harness')

const kitOf = (sdk, script) => new sdk.VibeKit().withAgent(AGENT).withSandbox(recordingProvider(script))

module.exports = scenarios('events', {
  'several listeners, in order': async (sdk) => {
    const kit = kitOf(sdk, printing(['{"a":1}']))
    const order = []
    kit.on('stdout', (text) => order.push(['first', text]))
    kit.prependListener('stdout', (text) => order.push(['before', text]))
    kit.once('stdout', (text) => order.push(['once', text]))
    await kit.executeCommand('cmd')
    return order
  },
  'a listener that is taken off by another': async (sdk) => {
    const kit = kitOf(sdk, printing(['{"a":1}', '{"b":2}']))
    const seen = []
    const second = (text) => seen.push(['second', text])
    kit.on('stdout', (text) => {
      seen.push(['first', text])
      kit.off('stdout', second)
    })
    kit.on('stdout', second)
    await kit.executeCommand('cmd')
    return seen
  },
  'listenerCount and eventNames': (sdk) => {
    const kit = kitOf(sdk)
    const before = kit.eventNames()
    kit.on('stdout', () => {}).once('error', () => {}).on('own', () => {})
    return [before, kit.eventNames(), kit.listenerCount('stdout'), kit.listenerCount('update'), kit.getMaxListeners()]
  },
  'newListener': (sdk) => {
    const kit = kitOf(sdk)
    const seen = []
    kit.on('newListener', (name) => seen.push(name))
    kit.on('stdout', () => {})
    return seen
  },
  'events.once()': async (sdk) => {
    const kit = kitOf(sdk, printing(['{"a":1}']))
    const [[message]] = await Promise.all([once(kit, 'stdout'), kit.executeCommand('cmd')])
    return message
  },
  'an own event': (sdk) => {
    const kit = kitOf(sdk)
    const seen = []
    kit.on('own', (...args) => seen.push(args))
    return [kit.emit('own', 1, 2), kit.emit('nobody'), seen]
  },
  'removeAllListeners in the middle': async (sdk) => {
    const kit = kitOf(sdk, answering((_line, { onStdout }) => {
      onStdout('{"a":1}')
      kit.removeAllListeners()
      onStdout('{"b":2}')
      return success
    }))
    const seen = []
    kit.on('stdout', (text) => seen.push(text))
    await kit.executeCommand('cmd')
    return seen
  },
  'this of a listener': async (sdk) => {
    const kit = kitOf(sdk)
    let mine
    kit.on('stdout', function () { mine = this === kit })
    await kit.executeCommand('cmd')
    return mine
  },
  'listeners of a call do not see another object\'s': async (sdk) => {
    const [one, two] = [kitOf(sdk, printing(['{"one":1}'])), kitOf(sdk, printing(['{"two":2}']))]
    const seen = { one: [], two: [] }
    one.on('stdout', (text) => seen.one.push(text))
    two.on('stdout', (text) => seen.two.push(text))
    await Promise.all([one.executeCommand('a'), two.executeCommand('b')])
    return seen
  },
  'a listener that throws at a message of stderr': async (sdk) => {
    const { kit, events } = observe(sdk, printing([], ['{"a":1}{"b":2}']))
    kit.on('stdout', (text) => { if (text === '{"a":1}') throw new Error('listener') })
    return { result: await outcome(kit.executeCommand('cmd')), events }
  },
  'a listener that throws at a message of runTests': async (sdk) => {
    const { kit, events } = observe(sdk, printing(['{"a":1}{"b":2}']))
    kit.on('update', (text) => { if (text === '{"a":1}') throw new Error('listener') })
    return { result: await outcome(kit.runTests()), events }
  },
  'a listener that throws at the end message': async (sdk) => {
    const { kit } = observe(sdk)
    kit.on('stdout', (text) => { if (text.startsWith('{"type": "end"')) throw new Error('listener') })
    return { result: await outcome(kit.executeCommand('cmd')) }
  },
  'a listener that rejects costs nothing': async (sdk) => {
    const { kit } = observe(sdk, printing(['{"a":1}']))
    const caught = []
    process.once('unhandledRejection', (reason) => caught.push(reason.message))
    kit.once('stdout', async () => { throw new Error('asynchronous') })
    const result = await outcome(kit.executeCommand('cmd'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    return { result, caught }
  },
  'a listener that takes its time does not hold anything up': async (sdk) => {
    const kit = kitOf(sdk, printing(['{"a":1}', '{"b":2}']))
    const seen = []
    kit.on('stdout', async (text) => {
      await new Promise(setImmediate)
      seen.push(text)
    })
    await kit.executeCommand('cmd')
    const at = seen.length
    await new Promise((resolve) => setTimeout(resolve, 10))
    return [at < 4, seen.length]
  },
})
