'use strict'

/** What the package and its objects look like. */

const { EventEmitter } = require('node:events')
const util = require('node:util')
const { AGENT, attempt, outcome, scenarios, deviation, recordingProvider } = require('../harness')

const UPSTREAM = [
  'AGENT_CAPABILITIES', 'AGENT_DESCRIPTIONS', 'AGENT_DISPLAY_NAMES', 'AGENT_LIST', 'AGENT_PROVIDERS', 'AGENT_TEMPLATES', 'AGENT_TYPES',
  'PROVIDER_DESCRIPTIONS', 'PROVIDER_DISPLAY_NAMES', 'PROVIDER_TEMPLATES', 'PROVIDER_TYPES', 'SANDBOX_PROVIDERS', 'VibeKit',
  'createClaudeAgent', 'createCodexAgent', 'createGeminiAgent', 'createGrokAgent', 'createOpenCodeAgent',
]
const METHODS = [
  'withAgent', 'withSandbox', 'withWorkingDirectory', 'withSecrets', 'withSession', 'generateCode', 'runTests', 'executeCommand', 'kill', 'pause',
  'resume', 'getSession', 'setSession', 'getHost',
]

module.exports = [
  ...scenarios('surface', {
    'the names upstream has': (sdk) => UPSTREAM.map((name) => [name, typeof sdk[name], typeof sdk[name] === 'function' ? sdk[name].name : undefined]),
    'the constants': (sdk) => UPSTREAM.filter((name) => /^[A-Z]/.test(name) && name !== 'VibeKit').map((name) => sdk[name]),
    'the constants can be changed': (sdk) => {
      sdk.AGENT_DISPLAY_NAMES.claude = 'Own'
      const changed = sdk.AGENT_DISPLAY_NAMES.claude
      sdk.AGENT_DISPLAY_NAMES.claude = 'Claude'
      return [changed, Object.isFrozen(sdk.AGENT_LIST), Object.isFrozen(sdk.SANDBOX_PROVIDERS)]
    },
    'the keys of a new object': (sdk) => [Object.keys(new sdk.VibeKit()), Object.getOwnPropertyNames(new sdk.VibeKit())],
    'a new object in the console': (sdk) => util.inspect(new sdk.VibeKit()),
    'a configured object in the console': (sdk) => util.inspect(new sdk.VibeKit().withAgent(AGENT).withSecrets({ A: 'b' }).withSession('s').withWorkingDirectory('/w'), { depth: 3 }),
    'a new object as JSON': (sdk) => JSON.stringify(new sdk.VibeKit().withAgent(AGENT)),
    'for…in of a new object': (sdk) => {
      const keys = []
      for (const key in new sdk.VibeKit()) if (!(key in EventEmitter.prototype)) keys.push(key)
      return keys
    },
    'methods are not own and not listed': (sdk) => METHODS.map((name) => [name, typeof sdk.VibeKit.prototype[name], Object.keys(sdk.VibeKit.prototype).length]),
    'the class': (sdk) => [sdk.VibeKit.name, sdk.VibeKit.length, Object.getPrototypeOf(sdk.VibeKit) === EventEmitter, new sdk.VibeKit() instanceof EventEmitter],
    'without new': async (sdk) => (await attempt(() => sdk.VibeKit())).rejected.name,
    'setters give the object and keep what they get': (sdk) => {
      const secrets = { A: 'b' }
      const kit = new sdk.VibeKit()
      const provider = recordingProvider()
      return [
        kit.withAgent(AGENT) === kit, kit.withSandbox(provider) === kit, kit.withSecrets(secrets) === kit, kit.withSession('s') === kit,
        kit.withWorkingDirectory('/w') === kit, kit.options.secrets === secrets, kit.options.agent === AGENT, kit.options.sandbox === provider,
        Object.keys(kit.options),
      ]
    },
    'a later setter overwrites': (sdk) => new sdk.VibeKit().withSecrets({ A: '1' }).withSecrets({ B: '2' }).options,
    'there is no agent before the first call, and one after it': async (sdk) => {
      const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(recordingProvider())
      const before = kit.agent
      await kit.getHost(1)
      return [before, kit.agent.constructor.name, Object.getPrototypeOf(kit.agent.constructor).name, Object.keys(kit)]
    },
    'a subclass': async (sdk) => {
      class Own extends sdk.VibeKit {
        constructor() {
          super()
          this.own = 1
        }

        async executeCommand(line, options) {
          return { line, inner: await super.executeCommand(`${line} more`, options) }
        }
      }
      const provider = recordingProvider()
      const kit = new Own().withAgent(AGENT).withSandbox(provider)
      return [kit instanceof Own, kit.constructor.name, Object.keys(kit), await outcome(kit.executeCommand('x')), provider.calls]
    },
    'a proxy': async (sdk) => {
      const seen = []
      const kit = new Proxy(new sdk.VibeKit(), {
        get(target, name, receiver) {
          if (METHODS.includes(name)) seen.push(name)
          return Reflect.get(target, name, receiver)
        },
      })
      const events = []
      kit.on('stdout', (text) => events.push(text))
      const result = await outcome(kit.withAgent(AGENT).withSandbox(recordingProvider()).executeCommand('x'))
      return [seen, result, events, await kit.getSession()]
    },
    'a proxy around an object that works': async (sdk) => {
      const inner = new sdk.VibeKit().withAgent(AGENT).withSandbox(recordingProvider())
      await inner.executeCommand('x')
      const kit = new Proxy(inner, {})
      return [await kit.getSession(), await outcome(kit.getHost(1)), await outcome(kit.kill()), await kit.getSession()]
    },
    'a method taken off and put on again': async (sdk) => {
      const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(recordingProvider())
      const { executeCommand } = kit
      kit.executeCommand = async (...args) => executeCommand.apply(kit, args)
      return outcome(kit.executeCommand('x'))
    },
    'methods without their object': async (sdk) => {
      const { getSession } = new sdk.VibeKit()
      return (await attempt(() => getSession())).rejected.name
    },
    'promises, always': (sdk) => {
      const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(recordingProvider())
      return ['kill', 'pause', 'resume'].map((name) => kit[name]() instanceof Promise)
    },
    'mutated secrets before the first call': async (sdk) => {
      const provider = recordingProvider()
      const secrets = { A: '1' }
      const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(provider).withSecrets(secrets)
      secrets.B = '2'
      await kit.executeCommand('x')
      return provider.calls[0]
    },
    'setters after the first call': async (sdk) => {
      const provider = recordingProvider()
      const kit = new sdk.VibeKit().withAgent(AGENT).withSandbox(provider)
      await kit.executeCommand('x')
      kit.withWorkingDirectory('/other').withSecrets({ A: 'b' }).withSandbox(recordingProvider())
      await kit.executeCommand('y')
      return provider.calls
    },
  }),
  deviation('D23', 'an argument of the constructor counts', (sdk) => new sdk.VibeKit({ agent: AGENT }).getSession().then((value) => ({ value }), ({ message }) => ({ message })),
    (ours, _theirs, expect) => expect(ours).toEqual({ message: 'Agent not initialized' })),
]
