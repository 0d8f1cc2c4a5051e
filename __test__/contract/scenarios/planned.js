'use strict'

/** What happens to a second command of an object while it runs: it was begun by the machine's plan, which then does not hold any more. */

const { observe, outcome, success, scenarios, recordEvents } = require('../harness')

/** A promise with its end in reach. */
function deferred() {
  let resolve
  const promise = new Promise((end) => (resolve = end))
  return { promise, resolve }
}

/**
 * An object whose second command is held at a step, what is done meanwhile, and what came of both.
 * @param {'mkdir' | 'command'} step @param {(kit: any, events: any[]) => unknown} meanwhile
 */
async function held(sdk, step, meanwhile, { answer = success, turn = false } = {}) {
  const gate = deferred()
  let holding = false
  const { kit, provider, events } = observe(sdk, {
    run: (line) => (holding && line.startsWith('mkdir') === (step === 'mkdir') && !line.endsWith('third') ? gate.promise.then(() => answer) : success),
  })
  await kit.executeCommand('first')
  holding = true
  const second = outcome(kit.executeCommand('second', { timeoutMs: 7, background: true }))
  if (turn) await new Promise(setImmediate)
  const other = outcome(meanwhile(kit, events))
  await new Promise(setImmediate)
  holding = false
  gate.resolve()
  return { second: await second, other: await other, events, calls: provider.calls, session: await kit.getSession() }
}

const STEPS = ['mkdir', 'command']

module.exports = scenarios('planned', {
  ...Object.fromEntries(STEPS.flatMap((step) => [true, false].flatMap((turn) => {
    const when = `${step} runs${turn ? ', a turn later' : ''}`
    return [
      [`a third command while its ${when}`, (sdk) => held(sdk, step, (kit) => kit.executeCommand('third'), { turn })],
      [`getHost() while its ${when}`, (sdk) => held(sdk, step, (kit) => kit.getHost(80), { turn })],
      // In the same turn upstream pauses first.
      [`pause() while its ${when}`, (sdk) => held(sdk, step, (kit) => kit.pause(), { turn: true })],
      [`runTests() while its ${when}`, (sdk) => held(sdk, step, (kit) => kit.runTests(), { turn }).then(({ second, other, session }) => ({ second, other, session }))],
      [`a third command on a branch while its ${when}`, (sdk) => held(sdk, step, (kit) => kit.executeCommand('third', { branch: 'b' }), { turn })],
      [`nothing while its ${when}`, (sdk) => held(sdk, step, () => {}, { turn })],
    ]
  }))),
  'many at once': async (sdk) => {
    const { kit, provider, events } = observe(sdk)
    await kit.executeCommand('first')
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => outcome(kit.executeCommand(`c${index}`, { timeoutMs: index }))))
    return { results, events: events.length, calls: provider.calls.map((call) => JSON.stringify(call)).sort() }
  },
  'a listener that throws at every message': async (sdk) => {
    const { kit } = observe(sdk)
    await kit.executeCommand('first')
    const thrown = []
    kit.on('stdout', (message) => {
      thrown.push(message)
      throw new Error('listener')
    })
    return { second: await outcome(kit.executeCommand('second')), thrown: thrown.slice(0, 1) }
  },
  'a listener that throws at the end': async (sdk) => {
    const { kit } = observe(sdk)
    await kit.executeCommand('first')
    kit.on('stdout', (message) => {
      if (message.includes('"end"')) throw new Error('listener')
    })
    const second = await outcome(kit.executeCommand('second'))
    kit.removeAllListeners('stdout')
    return { second, third: await outcome(kit.executeCommand('third')) }
  },
  'kill() and on': async (sdk) => {
    const { kit, provider, events } = observe(sdk)
    for (const line of ['a', 'b']) await kit.executeCommand(line)
    await kit.kill()
    for (const line of ['c', 'd']) await kit.executeCommand(line)
    return { events, calls: provider.calls }
  },
  'resume() and on': async (sdk) => {
    const { kit, provider } = observe(sdk)
    for (const line of ['a', 'b']) await kit.executeCommand(line)
    await kit.resume()
    for (const line of ['c', 'd']) await kit.executeCommand(line)
    return provider.calls
  },
  'of two objects': async (sdk) => {
    const both = [observe(sdk), observe(sdk)]
    for (const line of ['a', 'b', 'c']) for (const { kit } of both) await kit.executeCommand(line)
    return both.map(({ provider, events }) => [provider.calls, events])
  },
  'a listener that makes a call': async (sdk) => {
    const { kit, provider } = observe(sdk)
    await kit.executeCommand('first')
    let inner
    kit.once('stdout', () => (inner = outcome(kit.executeCommand('inner'))))
    const outer = await outcome(kit.executeCommand('outer'))
    return { outer, inner: await inner, lines: provider.calls.map(([, line]) => line).sort() }
  },
  'events of later listeners': async (sdk) => {
    const { kit } = observe(sdk)
    await kit.executeCommand('first')
    const later = recordEvents(kit)
    await kit.executeCommand('second')
    return later
  },
})
