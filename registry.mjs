// One class, however it is loaded: this file only names what registry.js has.
export { DockerHubRegistry, GitHubContainerRegistry, AWSECRRegistry, RegistryManager, ImageResolver } from './registry.js'
