'use strict'

/** Which setups work, with which words the others fail, and what a provider is given. */

const { outcome, scenarios, deviation, withEnv, recordingProvider } = require('../harness')

const PROVIDERS = ['openai', 'anthropic', 'openrouter', 'azure', 'gemini', 'google', 'ollama', 'mistral', 'deepseek', 'xai', 'groq', 'arceeai']
const AGENTS = {
  claude: { type: 'claude', provider: 'anthropic', apiKey: 'sk-ant', model: 'm' },
  codex: { type: 'codex', provider: 'openai', apiKey: 'sk', model: 'm' },
  gemini: { type: 'gemini', provider: 'gemini', apiKey: 'g', model: 'm' },
  grok: { type: 'grok', provider: 'xai', apiKey: 'x', model: 'm' },
  opencode: { type: 'opencode', provider: 'openai', apiKey: 'sk', model: 'm' },
}

/** What `create` gets for an agent. */
async function created(sdk, agent, configure = (kit) => kit) {
  const provider = recordingProvider()
  const kit = configure(new sdk.VibeKit().withAgent(agent).withSandbox(provider))
  return { result: await outcome(kit.executeCommand('x')), calls: provider.calls }
}

module.exports = [
  ...scenarios('setup', {
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [`${name} with a key`, (sdk) => created(sdk, agent)])),
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [`${name} without a key`, (sdk) => created(sdk, { ...agent, apiKey: undefined })])),
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [`${name} with an empty key`, (sdk) => created(sdk, { ...agent, apiKey: '' })])),
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [`${name} without a vendor`, (sdk) => created(sdk, { ...agent, provider: undefined })])),
    ...Object.fromEntries(['claude', 'gemini', 'grok'].map((name) => [`${name} of another vendor`, (sdk) => created(sdk, { ...AGENTS[name], provider: 'mistral' })])),
    ...Object.fromEntries(PROVIDERS.map((provider) => [`codex of ${provider}`, (sdk) => created(sdk, { ...AGENTS.codex, provider })])),
    ...Object.fromEntries(PROVIDERS.map((provider) => [`opencode of ${provider}`, (sdk) => created(sdk, { ...AGENTS.opencode, provider })])),
    'gemini of google': (sdk) => created(sdk, { ...AGENTS.gemini, provider: 'google' }),
    'claude with a subscription token': (sdk) => created(sdk, { ...AGENTS.claude, apiKey: undefined, oauthToken: 'oat' }),
    'claude with a token and a key': (sdk) => created(sdk, { ...AGENTS.claude, oauthToken: 'oat' }),
    'claude with a token of the host': (sdk) => withEnv({ CLAUDE_CODE_OAUTH_TOKEN: 'oat' }, () => created(sdk, { ...AGENTS.claude, apiKey: undefined })),
    'grok with a key of the host': (sdk) => withEnv({ GROK_API_KEY: 'env' }, () => created(sdk, { ...AGENTS.grok, apiKey: undefined })),
    'grok with another key of the host': (sdk) => withEnv({ XAI_API_KEY: 'env' }, () => created(sdk, { ...AGENTS.grok, apiKey: undefined })),
    'grok with both keys of the host': (sdk) => withEnv({ XAI_API_KEY: 'xai', GROK_API_KEY: 'grok' }, () => created(sdk, { ...AGENTS.grok, apiKey: undefined })),
    'secrets over the agent\'s own': (sdk) => created(sdk, AGENTS.codex, (kit) => kit.withSecrets({ OTHER: 'o', OPENAI_API_KEY: 'mine' })),
    'secrets of any type': (sdk) => created(sdk, AGENTS.codex, (kit) => kit.withSecrets({ NUMBER: 5, NONE: undefined, NULL: null, FLAG: true })),
    'no secrets': (sdk) => created(sdk, AGENTS.codex, (kit) => kit.withSecrets(undefined)),
    'an empty working directory': (sdk) => created(sdk, AGENTS.codex, (kit) => kit.withWorkingDirectory('')),
    'a relative working directory': (sdk) => created(sdk, AGENTS.codex, (kit) => kit.withWorkingDirectory('app')),
    'an agent type in capitals': (sdk) => created(sdk, { ...AGENTS.codex, type: 'Codex' }),
    'further fields of the agent': (sdk) => created(sdk, { ...AGENTS.codex, more: { a: 1 }, fn: () => {} }),
    'corrected after a failure': async (sdk) => {
      const provider = recordingProvider()
      const kit = new sdk.VibeKit()
      const told = [await outcome(kit.executeCommand('a'))]
      told.push(await outcome(kit.withAgent({ ...AGENTS.codex, apiKey: '' }).executeCommand('b')))
      told.push(await outcome(kit.withSandbox(provider).executeCommand('c')))
      told.push(await outcome(kit.withAgent(AGENTS.codex).executeCommand('d')))
      return { told, calls: provider.calls }
    },
    'setters in any order': async (sdk) => {
      const provider = recordingProvider()
      const kit = new sdk.VibeKit().withSession('s').withSecrets({ A: 'b' }).withWorkingDirectory('/w').withSandbox(provider).withAgent(AGENTS.codex)
      return { result: await outcome(kit.executeCommand('x')), calls: provider.calls }
    },
    'kill, pause and resume without anything': async (sdk) => {
      const kit = new sdk.VibeKit()
      return [await outcome(kit.kill()), await outcome(kit.pause()), await outcome(kit.resume())]
    },
  }),
  deviation('D24', 'a key that is missing is looked for in the host\'s environment', (sdk) => withEnv({ OPENAI_API_KEY: 'env' }, () => created(sdk, { ...AGENTS.codex, apiKey: undefined })), (ours, theirs, expect) => {
    expect(theirs.result.rejected.message).toMatch(/^Provider API key is required/)
    expect(ours.calls[0]).toEqual(['create', [['OPENAI_API_KEY', 'env']], 'codex', '/vibe0'])
  }),
  deviation('D25', 'an agent without a type is told what is missing', (sdk) => created(sdk, { ...AGENTS.codex, type: undefined }), (ours, _theirs, expect) =>
    expect(ours.result.rejected.message).toMatch(/^agent\.type is missing/)),
]
module.exports.AGENTS = AGENTS
