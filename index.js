'use strict'

const { VibeKit } = require('./lib/vibekit')
const providers = require('./lib/providers')
const constants = require('./lib/constants')

module.exports = {
  VibeKit,
  DaytonaSandboxProvider: providers.DaytonaSandboxProvider,
  E2BSandboxProvider: providers.E2BSandboxProvider,
  NorthflankSandboxProvider: providers.NorthflankSandboxProvider,
  createDaytonaProvider: providers.createDaytonaProvider,
  createDockerProvider: providers.createDockerProvider,
  createE2BProvider: providers.createE2BProvider,
  createLocalProvider: providers.createLocalProvider,
  createNorthflankProvider: providers.createNorthflankProvider,
  createClaudeAgent,
  createCodexAgent,
  createGeminiAgent,
  createGrokAgent,
  createOpenCodeAgent,
  AGENT_TYPES: constants.AGENT_TYPES,
  AGENT_LIST: constants.AGENT_LIST,
  AGENT_TEMPLATES: constants.AGENT_TEMPLATES,
  AGENT_DISPLAY_NAMES: constants.AGENT_DISPLAY_NAMES,
  AGENT_DESCRIPTIONS: constants.AGENT_DESCRIPTIONS,
  AGENT_PROVIDERS: constants.AGENT_PROVIDERS,
  AGENT_CAPABILITIES: constants.AGENT_CAPABILITIES,
  SANDBOX_PROVIDERS: constants.SANDBOX_PROVIDERS,
  PROVIDER_TYPES: constants.PROVIDER_TYPES,
  PROVIDER_TEMPLATES: constants.PROVIDER_TEMPLATES,
  PROVIDER_DISPLAY_NAMES: constants.PROVIDER_DISPLAY_NAMES,
  PROVIDER_DESCRIPTIONS: constants.PROVIDER_DESCRIPTIONS,
}

// Test runners that mock whole modules leave properties behind getters out, unless the module is marked like this. Upstream's is.
Object.defineProperty(module.exports, '__esModule', { value: true })

/** Loaded by those who touch them. @type {Array<[string, () => Record<string, unknown>]>} */
const LAZY = [
  ...['BaseAgent', 'ClaudeAgent', 'CodexAgent', 'GeminiAgent', 'GrokAgent', 'OpenCodeAgent'].map(
    /** @returns {[string, () => Record<string, unknown>]} */ (name) => [name, () => require('./lib/agents')],
  ),
  ['TelemetryService', () => require('./lib/telemetry')],
]
for (const [name, load] of LAZY) {
  Object.defineProperty(module.exports, name, { get: () => load()[name], enumerable: true, configurable: true })
}

async function createClaudeAgent() {
  return require('./lib/agents').ClaudeAgent
}

async function createCodexAgent() {
  return require('./lib/agents').CodexAgent
}

async function createGeminiAgent() {
  return require('./lib/agents').GeminiAgent
}

async function createGrokAgent() {
  return require('./lib/agents').GrokAgent
}

async function createOpenCodeAgent() {
  return require('./lib/agents').OpenCodeAgent
}
