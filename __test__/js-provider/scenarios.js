'use strict'

/**
 * What both SDKs are put through, with providers written in JavaScript. Each scenario drives an object of the class it is
 * given and tells what could be observed; `oracle.js` runs them over the published package.
 */

const { recordingProvider, recordEvents } = require('../support/provider')

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-test', model: 'gpt-5' }

/** A settled promise in a form that compares. */
const outcome = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ message: error instanceof Error ? error.message : error }),
  )

/** An object over a provider, and everything that can be seen of it. */
function observe(VibeKit, script, configure = (kit) => kit) {
  const provider = recordingProvider(script)
  const kit = configure(new VibeKit().withAgent(AGENT).withSandbox(provider))
  return { kit, provider, events: recordEvents(kit) }
}

/** One command after which everything is told. */
async function command(VibeKit, script, { configure, options, line = 'cmd' } = {}) {
  const { kit, provider, events } = observe(VibeKit, script, configure)
  const result = await outcome(kit.executeCommand(line, options))
  return { result, events, calls: provider.calls, session: await kit.getSession() }
}

/** A script whose command prints chunks. */
const printing = (stdout, stderr = []) => ({
  run(line, { onStdout, onStderr }) {
    if (!line.endsWith('cmd')) return { exitCode: 0, stdout: '', stderr: '' }
    for (const chunk of stdout) onStdout(chunk)
    for (const chunk of stderr) onStderr(chunk)
    return { exitCode: 0, stdout: stdout.join(''), stderr: stderr.join('') }
  },
})

const success = { exitCode: 0, stdout: '', stderr: '' }

/** Answers the command proper; the steps before it succeed. */
const answering = (answer) => ({ run: (line, options) => (line.endsWith('cmd') ? answer(line, options) : success) })

const SCENARIOS = {
  'a command without output': (VibeKit) => command(VibeKit),
  'text, at the end': (VibeKit) => command(VibeKit, printing(['hello ', 'world\n'])),
  'text on both streams': (VibeKit) => command(VibeKit, printing(['out\n'], ['err\n'])),
  'two messages in a chunk': (VibeKit) => command(VibeKit, printing(['{"a":1}{"b":2}'])),
  'messages in lines': (VibeKit) => command(VibeKit, printing(['{"a":1}\n{"b":2}\n'])),
  'a message in three chunks': (VibeKit) => command(VibeKit, printing(['{"a"', ':1', '}\n{"b":2}'])),
  'a newline in a chunk of its own': (VibeKit) => command(VibeKit, printing(['{"a":1}', '\n', '{"b":2}'])),
  'lines that end in CR LF': (VibeKit) => command(VibeKit, printing(['{"a":1}\r\n{"b":2}\r\n'])),
  'text behind a message': (VibeKit) => command(VibeKit, printing(['{"a":1} tail'])),
  'an unfinished message': (VibeKit) => command(VibeKit, printing(['{"a":1'])),
  'braces inside of strings': (VibeKit) => command(VibeKit, printing(['{"a":"}{\\""}'])),
  'half a surrogate pair per chunk': (VibeKit) => command(VibeKit, printing(['{"a":"\ud83d', '\ude00"}', 'x\ud83d', '\ude00y'])),
  'NUL characters': (VibeKit) => command(VibeKit, printing(['{"a"\0:1}', 'x\0y'])),
  'blank output': (VibeKit) => command(VibeKit, printing(['  \n', '\n'])),

  'a result with further fields': (VibeKit) => command(VibeKit, answering(() => ({ ...success, extra: { deep: [1] }, error: undefined }))),
  'a result that has a sandboxId': (VibeKit) => command(VibeKit, answering(() => ({ ...success, sandboxId: 'own' }))),
  'a result that is null': (VibeKit) => command(VibeKit, answering(() => null)),
  'a result with toJSON': (VibeKit) => command(VibeKit, answering(() => ({ ...success, toJSON: () => 'short' }))),
  'a plain value instead of a promise': (VibeKit) => command(VibeKit, answering(() => success)),
  'a thenable instead of a promise': (VibeKit) => command(VibeKit, answering(() => ({ then: (resolve) => resolve(success) }))),
  'a code that is not zero': (VibeKit) => command(VibeKit, answering(() => ({ exitCode: 3, stdout: '', stderr: 'bad' }))),

  'an error': (VibeKit) => command(VibeKit, answering(() => Promise.reject(new Error('exit status 1')))),
  'a string that is thrown': (VibeKit) => command(VibeKit, answering(() => Promise.reject('plainly'))),
  'an object that is thrown': (VibeKit) => command(VibeKit, answering(() => Promise.reject({ code: 1 }))),
  'create() that rejects': (VibeKit) => command(VibeKit, { create: () => Promise.reject(new Error('no quota')) }),
  'create() that gives nothing': (VibeKit) => command(VibeKit, { create: () => undefined }),
  'mkdir that rejects': (VibeKit) => command(VibeKit, { run: () => Promise.reject(new Error('read-only')) }),
  'a chunk that is no string': async (VibeKit) => {
    const { message } = (await command(VibeKit, printing([Buffer.from('x')]))).result
    return message.slice(0, 'Failed to execute command: chunk.replace is not a function'.length)
  },

  'timeoutMs: 0': (VibeKit) => command(VibeKit, undefined, { options: { timeoutMs: 0 } }),
  'timeoutMs: null': (VibeKit) => command(VibeKit, undefined, { options: { timeoutMs: null } }),
  'timeoutMs: 5000': (VibeKit) => command(VibeKit, undefined, { options: { timeoutMs: 5000 } }),
  'background': (VibeKit) => command(VibeKit, undefined, { options: { background: true } }),
  'options that are null': (VibeKit) => command(VibeKit, undefined, { options: null }),
  'callbacks': async (VibeKit) => command(VibeKit, printing(['{"a":1}']), { options: { callbacks: {} } }),
  'a working directory': (VibeKit) => command(VibeKit, undefined, { configure: (kit) => kit.withWorkingDirectory('/srv/app') }),
  'secrets': (VibeKit) => command(VibeKit, undefined, { configure: (kit) => kit.withSecrets({ Z: '1', A: 'x', EMPTY: '', NUMBER: 5 }) }),
  'a session to resume': async (VibeKit) => command(VibeKit, undefined, { configure: (kit) => kit.withSession('kept') }),
  'a session that has another id after resuming': (VibeKit) => {
    const script = { resume: () => recordingProvider().instance('moved') }
    return command(VibeKit, script, { configure: (kit) => kit.withSession('kept') })
  },
  'a provider without an id': (VibeKit) => {
    const script = { create: () => recordingProvider().instance(undefined) }
    return command(VibeKit, script).then(({ session, ...rest }) => ({ ...rest, none: session ?? null }))
  },

  'a branch that exists': (VibeKit) => command(VibeKit, undefined, { options: { branch: 'main' } }),
  'a branch that does not exist': (VibeKit) => {
    const run = (line) => (line.includes('git checkout new') ? Promise.reject(new Error('no such branch')) : success)
    return command(VibeKit, { run }, { options: { branch: 'new' } })
  },
  'a branch outside of a repository': (VibeKit) => {
    const run = (line) => (line.includes('git rev-parse') ? Promise.reject(new Error('no repository')) : success)
    return command(VibeKit, { run }, { options: { branch: 'b' } })
  },

  'two commands': async (VibeKit) => {
    const { kit, provider, events } = observe(VibeKit)
    const results = [await outcome(kit.executeCommand('one cmd')), await outcome(kit.executeCommand('two cmd'))]
    return { results, events, calls: provider.calls }
  },
  'create() that works the second time': async (VibeKit) => {
    let times = 0
    const create = () => (++times === 1 ? Promise.reject(new Error('busy')) : recordingProvider().instance('second'))
    const { kit, provider, events } = observe(VibeKit, { create })
    const results = [await outcome(kit.executeCommand('cmd')), await outcome(kit.executeCommand('cmd'))]
    return { results, events, calls: provider.calls }
  },
  'pause, resume, getHost and kill': async (VibeKit) => {
    const { kit, provider, events } = observe(VibeKit)
    const results = [
      await outcome(kit.getHost(3000)),
      await outcome(kit.pause()),
      await outcome(kit.resume()),
      await outcome(kit.kill()),
      await outcome(kit.kill()),
    ]
    return { results, events, calls: provider.calls, session: await kit.getSession() }
  },
  'kill() that rejects': async (VibeKit) => {
    const instance = { ...recordingProvider().instance('s'), kill: () => Promise.reject(new Error('still busy')) }
    const { kit } = observe(VibeKit, { create: () => instance })
    await kit.executeCommand('cmd')
    return { result: await outcome(kit.kill()), session: await kit.getSession() }
  },
  'getHost() of a provider that gives no string': async (VibeKit) => {
    const instance = { ...recordingProvider().instance('s'), getHost: (...args) => ({ args }) }
    const { kit } = observe(VibeKit, { create: () => instance })
    return [await outcome(kit.getHost('3000')), await outcome(kit.getHost(undefined))]
  },
  'commands behind a getter, methods that need this': async (VibeKit) => {
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
    const kit = new VibeKit().withAgent(AGENT).withSandbox(new Provider())
    const results = [await outcome(kit.executeCommand('a')), await outcome(kit.executeCommand('b'))]
    return { results, commands: reads.filter((name) => name === 'commands').length }
  },
  'a listener that throws at a message': async (VibeKit) => {
    const { kit, events } = observe(VibeKit, printing(['{"a":1}{"b":2}']))
    kit.on('stdout', (text) => {
      if (text === '{"a":1}') throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')), events }
  },
  'a listener that throws at the last text': async (VibeKit) => {
    const { kit } = observe(VibeKit, printing(['tail']))
    kit.on('stdout', (text) => {
      if (text === 'tail') throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')) }
  },
  'a listener that throws at the first message': async (VibeKit) => {
    const { kit, provider } = observe(VibeKit)
    kit.once('stdout', () => {
      throw new Error('listener')
    })
    return { result: await outcome(kit.executeCommand('cmd')), proper: provider.calls.some(([, line]) => line === 'cd /vibe0 && cmd') }
  },
  'messages come before the provider goes on': async (VibeKit) => {
    const order = []
    const { kit } = observe(VibeKit, answering((_line, { onStdout }) => {
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
      async (VibeKit) => {
        const kit = configure(new VibeKit())
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

module.exports = { SCENARIOS, AGENT }
