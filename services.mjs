// One class, however it is loaded: this file only names what services.js has.
export { DockerClient, ConfigManager } from './services.js'
