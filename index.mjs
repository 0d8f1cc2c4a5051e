// One class, however it is loaded: this file only names what index.js has.
export {
  VibeKit,
  createDockerProvider,
  createLocalProvider,
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
} from './index.js'
