'use strict'

/** The agents' classes, on their own. */

const { outcome, attempt, printing, answering, success, scenarios, deviation, recordingProvider, withEnv } = require('../harness')

const NAMES = ['Claude', 'Codex', 'Gemini', 'Grok', 'OpenCode']
const make = async (sdk, name, config = {}, script) => {
  const Class = await sdk[`create${name}Agent`]()
  const provider = recordingProvider(script)
  return { agent: new Class({ providerApiKey: 'sk-test', sandboxProvider: provider, ...config }), provider, Class }
}

/** Callbacks that keep what they get. */
const recording = () => {
  const told = []
  return { told, callbacks: { onUpdate: (text) => told.push(['update', text]), onError: (text) => told.push(['error', text]) } }
}

/** The agent's line is quoted in another way (D11). */
const lines = (calls) => calls.map((call) => (call[0] === 'run' && !/^(mkdir|cd \S+ && (git|cmd))/.test(String(call[1])) ? ['run', 'the agent', call[2]] : call))

const each = (title, observe) => NAMES.map((name) => [`${name}Agent: ${title}`, (sdk) => observe(sdk, name)])

module.exports = [
  ...scenarios('agent', Object.fromEntries([
    ...each('the class', async (sdk, name) => {
      const { Class } = await make(sdk, name)
      return [Class.name, Class.length, Object.getPrototypeOf(Class).name]
    }),
    ...each('what it knows of itself', async (sdk, name) => {
      const { agent } = await make(sdk, name, { model: 'm', secrets: { A: 'b' } })
      const { config: { secrets, sandboxId, workingDirectory }, lastPrompt, currentBranch, WORKING_DIR, currentWorktreeDir, sandboxInstance } = agent
      return [
        agent.getApiKey(), agent.getAgentType(), agent.getDefaultTemplate(), agent.getModelConfig(), agent.getEnvironmentVariables(), agent.getCurrentBranch(),
        { secrets, sandboxId, workingDirectory, lastPrompt, currentBranch, WORKING_DIR, currentWorktreeDir, sandboxInstance },
      ]
    }),
    ...each('its label', async (sdk, name) => {
      const { agent } = await make(sdk, name)
      const { command, ...rest } = agent.getCommandConfig('PROMPT', 'ask')
      return [rest, command.includes('PROMPT'), Object.keys({ command, ...rest })]
    }),
    ...each('made without a key', async (sdk, name) => {
      const Class = await sdk[`create${name}Agent`]()
      return (await attempt(() => new Class({}))).rejected ?? 'made'
    }),
    ...each('made without anything', async (sdk, name) => {
      const Class = await sdk[`create${name}Agent`]()
      return (await attempt(() => new Class())).rejected.name
    }),
    ...each('made for a vendor it does not know', async (sdk, name) => {
      const { agent, rejected } = await make(sdk, name, { provider: 'mistral' }).catch((error) => ({ rejected: error.message }))
      return rejected ?? agent.getModelConfig()
    }),
    ...each('a command', async (sdk, name) => {
      const { agent, provider } = await make(sdk, name, { secrets: { A: 'b' } }, printing(['{"a":1}', 'tail']))
      const { told, callbacks } = recording()
      return { result: await outcome(agent.executeCommand('cmd', { callbacks })), told, calls: provider.calls, session: await agent.getSession() }
    }),
    ...each('a turn', async (sdk, name) => {
      const { agent, provider } = await make(sdk, name, undefined, printing(['{"a":1}', 'tail']))
      const { told, callbacks } = recording()
      const result = await outcome(agent.generateCode('PROMPT', 'code', undefined, undefined, callbacks))
      return { result, told, calls: lines(provider.calls), lastPrompt: agent.lastPrompt }
    }),
    ...each('a turn that fails', async (sdk, name) => {
      const { agent } = await make(sdk, name, undefined, answering(() => Promise.reject(new Error('boom'))))
      const { told, callbacks } = recording()
      return { result: await outcome(agent.generateCode('PROMPT', 'ask', undefined, undefined, callbacks)), told, lastPrompt: agent.lastPrompt }
    }),
    ...each('tests', async (sdk, name) => {
      const { agent, provider } = await make(sdk, name)
      return { result: await outcome(agent.runTests()), calls: lines(provider.calls), lastPrompt: agent.lastPrompt }
    }),
    ...each('a turn on a branch', async (sdk, name) => {
      const { agent, provider } = await make(sdk, name)
      const { told, callbacks } = recording()
      const result = await outcome(agent.generateCode('PROMPT', 'code', 'feature', undefined, callbacks))
      return { result, told, calls: lines(provider.calls), branch: agent.getCurrentBranch() }
    }),
  ])),
  ...scenarios('agent', {
    'a turn on a branch that is not there': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex', undefined, { run: (line) => (/checkout feature$/.test(line) ? Promise.reject(new Error('none')) : success) })
      const { told, callbacks } = recording()
      return { result: await outcome(agent.generateCode('P', 'code', 'feature', undefined, callbacks)), told, calls: lines(provider.calls) }
    },
    'a turn on a branch outside of a repository': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex', undefined, { run: (line) => (/rev-parse/.test(line) ? Promise.reject(new Error('none')) : success) })
      const { told, callbacks } = recording()
      return { result: await outcome(agent.generateCode('P', 'code', 'feature', undefined, callbacks)), told, calls: lines(provider.calls) }
    },
    'a turn in the background': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex', { sandboxId: 'kept' })
      return { result: await outcome(agent.generateCode('P', 'code', undefined, undefined, undefined, true)), calls: lines(provider.calls) }
    },
    'a session': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex', { sandboxId: 'kept' })
      const before = await agent.getSession()
      await agent.executeCommand('cmd')
      return [before, await agent.getSession(), provider.calls]
    },
    'setSession() before the first call': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex')
      await agent.setSession('set')
      const before = await agent.getSession()
      await agent.executeCommand('cmd')
      return [before, provider.calls]
    },
    'the sandbox': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex')
      const sandbox = await agent.getSandbox()
      return [sandbox.sandboxId, sandbox === (await agent.getSandbox()), agent.sandboxInstance === sandbox, provider.calls]
    },
    'kill, pause, resume and getHost': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex')
      const told = [await outcome(agent.killSandbox()), await outcome(agent.pauseSandbox()), await outcome(agent.getHost(80))]
      told.push(await outcome(agent.pauseSandbox()), await outcome(agent.resumeSandbox()), await outcome(agent.killSandbox()), agent.sandboxInstance, await agent.getSession())
      return { told, calls: provider.calls }
    },
    'no sandbox provider': async (sdk) => {
      const { agent } = await make(sdk, 'Codex', { sandboxProvider: undefined })
      return [await outcome(agent.executeCommand('x')), await outcome(agent.generateCode('x', 'ask')), await outcome(agent.getSandbox()), await outcome(agent.getHost(1))]
    },
    'a working directory': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Codex', { workingDirectory: '/w' })
      await agent.executeCommand('cmd')
      return [agent.WORKING_DIR, provider.calls]
    },
    'grok with a base URL': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Grok', { baseUrl: 'https://x.example' })
      await agent.executeCommand('cmd')
      return [agent.getEnvironmentVariables(), agent.getModelConfig(), provider.calls[0]]
    },
    'claude with a token': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Claude', { providerApiKey: undefined, oauthToken: 'oat' })
      await agent.executeCommand('cmd')
      return [agent.getEnvironmentVariables(), provider.calls[0]]
    },
    'grok with a key of the host': (sdk) => withEnv({ GROK_API_KEY: 'env' }, async () => {
      const { agent } = await make(sdk, 'Grok', { providerApiKey: undefined })
      return agent.getApiKey()
    }),
    'claude without any credential': async (sdk) => {
      const { agent, provider } = await make(sdk, 'Claude', { providerApiKey: undefined })
      return [await outcome(agent.generateCode('x', 'ask')), provider.calls]
    },
    'calls of the agent have no events': async (sdk) => {
      const kit = new sdk.VibeKit().withAgent({ type: 'codex', apiKey: 'k' }).withSandbox(recordingProvider(printing(['{"a":1}'])))
      await kit.executeCommand('first')
      const events = []
      for (const name of ['stdout', 'stderr', 'update', 'error']) kit.on(name, (text) => events.push([name, text]))
      const { told, callbacks } = recording()
      await kit.agent.executeCommand('second', { callbacks })
      return { events, told }
    },
  }),
  deviation('D18', 'a turn that failed leaves nothing behind', async (sdk) => {
    let times = 0
    const { agent, provider } = await make(sdk, 'Codex', undefined, answering(() => (++times === 1 ? Promise.reject(new Error('busy')) : success)))
    await outcome(agent.generateCode('OLD', 'code'))
    const { command } = agent.getCommandConfig('NEW', 'code')
    return { old: command.includes('OLD'), new: command.includes('NEW'), calls: provider.calls.length }
  }, (ours, theirs, expect) => {
    expect(ours).toMatchObject({ old: false, new: true })
    expect(theirs).toMatchObject({ old: true, new: false })
  }),
]
