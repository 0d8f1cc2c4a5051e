'use strict'

/** Whatever fails, wherever. */

const { command, tests, answering, refusing, success, outcome, observe, printing, scenarios, deviation, printed, recordingProvider } = require('../harness')

class Own extends Error {
  constructor(message) {
    super(message)
    this.exitCode = 9
  }
}

const THROWN = {
  'an Error': () => new Error('boom'),
  'a subclass': () => new Own('own'),
  'a TypeError': () => new TypeError('type'),
  'an Error without a message': () => new Error(),
  'text': () => 'plainly',
  'a number': () => 5,
  'nothing': () => undefined,
  'null': () => null,
  'an object': () => ({ code: 1 }),
  'an array': () => [1, 2],
}

const failing = (place, thrown) => {
  const sandbox = { ...recordingProvider().instance('s'), [place]: () => Promise.reject(thrown()) }
  return { create: () => sandbox }
}

module.exports = [
  ...scenarios('error', {
    ...Object.fromEntries(Object.entries(THROWN).map(([name, thrown]) => [`${name} by run()`, (sdk) => command(sdk, answering(() => Promise.reject(thrown())))])),
    ...Object.fromEntries(Object.entries(THROWN).map(([name, thrown]) => [`${name} by create()`, (sdk) => command(sdk, { create: () => Promise.reject(thrown()) })])),
    ...Object.fromEntries(['an Error', 'text', 'an object'].map((name) => [`${name} by run(), runTests`, (sdk) => tests(sdk, answering(() => Promise.reject(THROWN[name]())))])),
    ...Object.fromEntries(['an Error', 'text', 'an object'].map((name) => [`${name} by create(), runTests`, (sdk) => tests(sdk, { create: () => Promise.reject(THROWN[name]()) })])),
    ...Object.fromEntries(['kill', 'pause', 'getHost'].flatMap((method) => ['an Error', 'text', 'nothing'].map((name) => [
      `${name} by ${method}()`,
      async (sdk) => {
        const { kit } = observe(sdk, failing(method, THROWN[name]))
        await kit.executeCommand('cmd')
        return [await outcome(method === 'getHost' ? kit.getHost(1) : kit[method]()), await kit.getSession()]
      },
    ]))),
    'thrown at once by run()': (sdk) => command(sdk, answering(() => { throw new Error('at once') })),
    'thrown at once by create()': (sdk) => command(sdk, { create: () => { throw new Error('at once') } }),
    'by resume()': (sdk) => command(sdk, { resume: () => Promise.reject(new Error('gone')) }, { configure: (kit) => kit.withSession('s') }),
    'by resume() of a live sandbox': async (sdk) => {
      const { kit, provider } = observe(sdk, { resume: () => Promise.reject(new Error('gone')) })
      await kit.executeCommand('cmd')
      return [await outcome(kit.resume()), await kit.getSession(), await outcome(kit.executeCommand('cmd')), provider.calls]
    },
    'a sandbox without commands': (sdk) => command(sdk, { create: () => ({ sandboxId: 's' }) }),
    // The rest of the sentence names a variable.
    'commands without run()': async (sdk) => (await command(sdk, { create: () => ({ sandboxId: 's', commands: {} }) })).result.rejected.message.endsWith('.commands.run is not a function'),
    'create() that gives null': (sdk) => command(sdk, { create: () => null }),
    // The rest of the sentence names the property that was read first.
    'resume() that gives nothing': async (sdk) => {
      const { result, calls } = await command(sdk, { resume: () => undefined }, { configure: (kit) => kit.withSession('s') })
      return [result.rejected.message.slice(0, 73), calls]
    },
    'a provider that is a function': async (sdk) => outcome(new sdk.VibeKit().withAgent({ type: 'codex', apiKey: 'k' }).withSandbox(() => {}).executeCommand('x')),
    'mkdir that fails in runTests': (sdk) => tests(sdk, refusing('mkdir')),
    'the next call after a failure': async (sdk) => {
      let times = 0
      const { kit, provider, events } = observe(sdk, answering(() => (++times === 1 ? Promise.reject(new Error('once')) : success)))
      return [await outcome(kit.executeCommand('a')), await outcome(kit.executeCommand('b')), events, provider.calls]
    },
    'generateCode() without a prompt': async (sdk) => {
      const { kit, provider } = observe(sdk)
      const { rejected } = await outcome(kit.generateCode())
      return [rejected.name, provider.calls]
    },
  }),
  deviation('D7', 'what was printed before a failure is delivered, and the error tells what is known', async (sdk) => {
    const thrown = Object.assign(new Error('exit status 2'), { exitCode: 2, stdout: 'partial', stderr: 'why' })
    const { kit, events } = observe(sdk, answering((_line, { onStdout, onStderr }) => {
      onStdout('partial')
      onStderr('why')
      return Promise.reject(thrown)
    }))
    const error = await kit.executeCommand('cmd').catch((reason) => reason)
    const { message, exitCode, stdout, stderr, sandboxId, cause } = error
    return { events, message, exitCode, stdout, stderr, sandboxId, cause: cause === thrown, keys: Object.keys(error) }
  }, (ours, theirs, expect) => {
    expect(ours).toMatchObject({ message: theirs.message, exitCode: 2, stdout: 'partial', stderr: 'why', sandboxId: 'sbx-1', cause: true, keys: [] })
    expect(ours.events).toEqual(expect.arrayContaining([['stdout', 'partial'], ['stdout', 'why']]))
    expect(ours.events.at(-1)).toEqual(theirs.events.at(-1))
  }),
  deviation('D25', 'what is thrown and has a message is told by it', (sdk) => command(sdk, answering(() => Promise.reject({ message: 'looks like one' }))), (ours, theirs, expect) => {
    expect(ours.result.rejected.message).toBe('Failed to execute command: looks like one')
    expect(theirs.result.rejected.message).toBe('Failed to execute command: [object Object]')
  }),
  deviation('D26', 'options of a wrong type are refused before anything starts', async (sdk) => {
    const { kit, provider } = observe(sdk)
    return { results: [await outcome(kit.executeCommand('x', { timeoutMs: 'soon' })), await outcome(kit.executeCommand(5))], calls: provider.calls.length }
  }, (ours, _theirs, expect) => {
    expect(ours.calls).toBe(0)
    expect(ours.results[0].rejected).toMatchObject({ name: 'TypeError', message: expect.stringContaining('timeoutMs') })
    expect(ours.results[1].rejected).toMatchObject({ name: 'TypeError', message: expect.stringContaining('command') })
  }),
  deviation('D17', 'an error event nobody listens to leaves the rejection as it is', async (sdk) => {
    const kit = new sdk.VibeKit().withAgent({ type: 'codex', apiKey: 'k' }).withSandbox(recordingProvider(answering(() => Promise.reject(new Error('no')))))
    return outcome(kit.runTests())
  }, (ours, _theirs, expect) => expect(ours.rejected).toEqual({ name: 'Error', message: 'Failed to generate code: no' })),
  deviation('D20', 'nothing is printed', async (sdk) => {
    const { kit } = observe(sdk, { run: (line, options = {}) => { options.onStdout?.('made'); return line.endsWith('bad') ? Promise.reject(new Error('bad')) : success } })
    return printed(async () => {
      await kit.executeCommand('cmd')
      await outcome(kit.executeCommand('bad'))
    })
  }, (ours, _theirs, expect) => expect(ours).toEqual([])),
  deviation('D5', 'the end message is JSON, and so is its output', async (sdk) => {
    const { kit, events } = observe(sdk, answering(() => ({ exitCode: 0, stdout: 'say "hi"\n', stderr: '' })))
    await kit.executeCommand('cmd')
    return events.at(-1)[1]
  }, (ours, theirs, expect) => {
    expect(() => JSON.parse(theirs)).toThrow()
    const end = JSON.parse(ours)
    expect(Object.keys(end)).toEqual(['type', 'sandbox_id', 'output'])
    expect(JSON.parse(end.output)).toEqual({ exitCode: 0, stdout: 'say "hi"\n', stderr: '' })
  }),
  deviation('D22', 'text without braces costs no more than its size', async (sdk) => {
    const cost = async (size) => {
      const { kit } = observe(sdk, printing(Array.from({ length: size / 20 }, () => 'x'.repeat(20))))
      const begin = process.cpuUsage()
      await kit.executeCommand('cmd')
      return process.cpuUsage(begin).user
    }
    await cost(2_000)
    const [small, large] = [await cost(4_000), await cost(32_000)]
    // Eight times the text: sixty-four times the work of a quadratic algorithm, in milliseconds that noise does not make.
    return { linear: large < 20_000 || large / small < 24 }
  }, (ours, _theirs, expect) => expect(ours).toEqual({ linear: true })),
]
