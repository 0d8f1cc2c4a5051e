'use strict'

/** `executeCommand` over a provider, and the methods around it. */

const { AGENT, success, outcome, observe, command, printing, answering, recordingProvider, scenarios } = require('../harness')

const SCENARIOS = {
  'a command without output': (sdk) => command(sdk),

  'a result with further fields': (sdk) => command(sdk, answering(() => ({ ...success, extra: { deep: [1] }, error: undefined }))),
  'a result that has a sandboxId': (sdk) => command(sdk, answering(() => ({ ...success, sandboxId: 'own' }))),
  'a result that is null': (sdk) => command(sdk, answering(() => null)),
  'a result with toJSON': (sdk) => command(sdk, answering(() => ({ ...success, toJSON: () => 'short' }))),
  'a plain value instead of a promise': (sdk) => command(sdk, answering(() => success)),
  'a thenable instead of a promise': (sdk) => command(sdk, answering(() => ({ then: (resolve) => resolve(success) }))),
  'a code that is not zero': (sdk) => command(sdk, answering(() => ({ exitCode: 3, stdout: '', stderr: 'bad' }))),

  'an error': (sdk) => command(sdk, answering(() => Promise.reject(new Error('exit status 1')))),
  'a string that is thrown': (sdk) => command(sdk, answering(() => Promise.reject('plainly'))),
  'an object that is thrown': (sdk) => command(sdk, answering(() => Promise.reject({ code: 1 }))),
  'create() that rejects': (sdk) => command(sdk, { create: () => Promise.reject(new Error('no quota')) }),
  'create() that gives nothing': (sdk) => command(sdk, { create: () => undefined }),
  'mkdir that rejects': (sdk) => command(sdk, { run: () => Promise.reject(new Error('read-only')) }),
  'a chunk that is no string': async (sdk) => {
    const { message } = (await command(sdk, printing([Buffer.from('x')]))).result.rejected
    return message.slice(0, 'Failed to execute command: chunk.replace is not a function'.length)
  },

  'timeoutMs: 0': (sdk) => command(sdk, undefined, { options: { timeoutMs: 0 } }),
  'timeoutMs: null': (sdk) => command(sdk, undefined, { options: { timeoutMs: null } }),
  'timeoutMs: 5000': (sdk) => command(sdk, undefined, { options: { timeoutMs: 5000 } }),
  'background': (sdk) => command(sdk, undefined, { options: { background: true } }),
  'options that are null': (sdk) => command(sdk, undefined, { options: null }),
  'callbacks': async (sdk) => command(sdk, printing(['{"a":1}']), { options: { callbacks: {} } }),
  'a working directory': (sdk) => command(sdk, undefined, { configure: (kit) => kit.withWorkingDirectory('/srv/app') }),
  'secrets': (sdk) => command(sdk, undefined, { configure: (kit) => kit.withSecrets({ Z: '1', A: 'x', EMPTY: '', NUMBER: 5 }) }),
  'a session to resume': async (sdk) => command(sdk, undefined, { configure: (kit) => kit.withSession('kept') }),
  'a session that has another id after resuming': (sdk) => {
    const script = { resume: () => recordingProvider().instance('moved') }
    return command(sdk, script, { configure: (kit) => kit.withSession('kept') })
  },
  'a provider without an id': (sdk) => {
    const script = { create: () => recordingProvider().instance(undefined) }
    return command(sdk, script).then(({ session, ...rest }) => ({ ...rest, none: session ?? null }))
  },

  'a branch that exists': (sdk) => command(sdk, undefined, { options: { branch: 'main' } }),
  'a branch that does not exist': (sdk) => {
    const run = (line) => (line.includes('git checkout new') ? Promise.reject(new Error('no such branch')) : success)
    return command(sdk, { run }, { options: { branch: 'new' } })
  },
  'a branch outside of a repository': (sdk) => {
    const run = (line) => (line.includes('git rev-parse') ? Promise.reject(new Error('no repository')) : success)
    return command(sdk, { run }, { options: { branch: 'b' } })
  },

  'two commands': async (sdk) => {
    const { kit, provider, events } = observe(sdk)
    const results = [await outcome(kit.executeCommand('one cmd')), await outcome(kit.executeCommand('two cmd'))]
    return { results, events, calls: provider.calls }
  },
  'create() that works the second time': async (sdk) => {
    let times = 0
    const create = () => (++times === 1 ? Promise.reject(new Error('busy')) : recordingProvider().instance('second'))
    const { kit, provider, events } = observe(sdk, { create })
    const results = [await outcome(kit.executeCommand('cmd')), await outcome(kit.executeCommand('cmd'))]
    return { results, events, calls: provider.calls }
  },
  'pause, resume, getHost and kill': async (sdk) => {
    const { kit, provider, events } = observe(sdk)
    const results = [
      await outcome(kit.getHost(3000)),
      await outcome(kit.pause()),
      await outcome(kit.resume()),
      await outcome(kit.kill()),
      await outcome(kit.kill()),
    ]
    return { results, events, calls: provider.calls, session: await kit.getSession() }
  },
  'kill() that rejects': async (sdk) => {
    const instance = { ...recordingProvider().instance('s'), kill: () => Promise.reject(new Error('still busy')) }
    const { kit } = observe(sdk, { create: () => instance })
    await kit.executeCommand('cmd')
    return { result: await outcome(kit.kill()), session: await kit.getSession() }
  },
  'getHost() of a provider that gives no string': async (sdk) => {
    const instance = { ...recordingProvider().instance('s'), getHost: (...args) => ({ args }) }
    const { kit } = observe(sdk, { create: () => instance })
    return [await outcome(kit.getHost('3000')), await outcome(kit.getHost(undefined))]
  },
  'commands behind a getter, methods that need this': async (sdk) => {
    const reads = []
    class Instance {
      get sandboxId() {
        reads.push('sandboxId')
        return 'own'
      }

      get commands() {
        return { count: reads.push('commands'), run(line) { return { ...success, stdout: `${line} ${this.count > 0}` } } }
      }
    }
    class Provider {
      instance = new Instance()

      create() {
        return this.instance
      }
    }
    const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(new Provider())
    const results = [await outcome(kit.executeCommand('a')), await outcome(kit.executeCommand('b'))]
    return { results, commands: reads.filter((name) => name === 'commands').length }
  },
  'a listener that throws at a message': async (sdk) => {
    const { kit, events } = observe(sdk, printing(['{"a":1}{"b":2}']))
    kit.on('stdout', (text) => {
      if (text === '{"a":1}') throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')), events }
  },
  'a listener that throws at the last text': async (sdk) => {
    const { kit } = observe(sdk, printing(['tail']))
    kit.on('stdout', (text) => {
      if (text === 'tail') throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')) }
  },
  'a listener that throws at the first message': async (sdk) => {
    const { kit, provider } = observe(sdk)
    kit.once('stdout', () => {
      throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')), proper: provider.calls.some(([, line]) => line === 'cd /vibe0 && cmd') }
  },
  'messages come before the provider goes on': async (sdk) => {
    const order = []
    const { kit } = observe(sdk, answering((_line, { onStdout }) => {
      order.push('before', String(onStdout('{"a":1}')), 'after')
      return success
    }))
    kit.on('stdout', (text) => order.push(text))
    await kit.executeCommand('cmd')
    return order.slice(0, 5)
  },

  ...Object.fromEntries(
    [
      ['no agent', (kit) => kit.withSandbox(recordingProvider())],
      ['an unknown agent', (kit) => kit.withSandbox(recordingProvider()).withAgent({ ...AGENT, type: 'cursor' })],
      ['no sandbox', (kit) => kit.withAgent(AGENT)],
      ['nothing', (kit) => kit],
      ['a vendor the agent does not support', (kit) => kit.withSandbox(recordingProvider()).withAgent({ type: 'claude', provider: 'xai', apiKey: 'k' })],
      ['codex without a key', (kit) => kit.withSandbox(recordingProvider()).withAgent({ type: 'codex', provider: 'openai', apiKey: '' })],
      ['a sandbox that is none', (kit) => kit.withAgent(AGENT).withSandbox({})],
    ].map(([name, configure]) => [
      `a setup with ${name}`,
      async (sdk) => {
        const kit = configure(new sdk.VibeKit())
        const methods = { executeCommand: ['x'], getHost: [3000], generateCode: [{ prompt: 'x', mode: 'ask' }], runTests: [] }
        // An error event nobody listens to changes upstream's rejection.
        kit.on('error', () => {})
        const told = []
        for (const [method, args] of Object.entries(methods)) {
          if (name === 'a sandbox that is none' && method === 'runTests') continue
          told.push([method, await outcome(kit[method](...args))])
        }
        for (const method of ['kill', 'pause', 'resume']) told.push([method, await outcome(kit[method]())])
        return told
      },
    ]),
  ),
}

module.exports = scenarios('command', SCENARIOS)
