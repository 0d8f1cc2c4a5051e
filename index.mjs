// One class, however it is loaded: this file only names what index.js has. Not by `import`, which takes more time for finding out
// which names a CommonJS module has than the module itself takes.
import { createRequire } from 'node:module'

const sdk = createRequire(import.meta.url)('./index.js')

export const {
  VibeKit,
  DaytonaSandboxProvider,
  E2BSandboxProvider,
  NorthflankSandboxProvider,
  createDaytonaProvider,
  createDockerProvider,
  createE2BProvider,
  createLocalProvider,
  createNorthflankProvider,
  createClaudeAgent,
  createCodexAgent,
  createGeminiAgent,
  createGrokAgent,
  createOpenCodeAgent,
  BaseAgent,
  ClaudeAgent,
  CodexAgent,
  GeminiAgent,
  GrokAgent,
  OpenCodeAgent,
  TelemetryService,
  AGENT_TYPES,
  AGENT_LIST,
  AGENT_TEMPLATES,
  AGENT_DISPLAY_NAMES,
  AGENT_DESCRIPTIONS,
  AGENT_PROVIDERS,
  AGENT_CAPABILITIES,
  SANDBOX_PROVIDERS,
  PROVIDER_TYPES,
  PROVIDER_TEMPLATES,
  PROVIDER_DISPLAY_NAMES,
  PROVIDER_DESCRIPTIONS,
} = sdk
