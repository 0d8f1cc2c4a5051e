'use strict'

const { isObject } = require('../arguments')
const { revive, wrongType } = require('../errors')
const { withLogger } = require('../services/logger')

/** @typedef {import('../../services').AgentType} AgentType */
/** @typedef {import('../../registry').RegistryProvider} RegistryProvider */

/** Registries by name, one of them the default. It knows none by itself. */
class RegistryManager {
  /** @param {import('../../registry').RegistryManagerConfig} [config] */
  constructor(config = {}) {
    const { defaultRegistry, registries, logger } = withLogger('RegistryManager', config)
    /** @type {Record<string, RegistryProvider>} */
    this.registries = { ...registries }
    /** @type {string} */
    this.defaultRegistry = defaultRegistry ?? 'dockerhub'
    this.logger = logger
  }

  /** @param {string} name @param {RegistryProvider} provider replaces one of the same name */
  registerRegistry(name, provider) {
    if (!isObject(provider)) throw revive(wrongType('provider', 'a registry', provider, 'Pass an object with the methods of RegistryProvider.'))
    this.registries[name] = provider
    this.logger.debug(`Registered registry provider: ${name}`)
  }

  /** @param {string} [name] the default one without it @returns {RegistryProvider} */
  getRegistry(name) {
    const wanted = name || this.defaultRegistry
    if (Object.hasOwn(this.registries, wanted)) return this.registries[wanted]
    throw new Error(`Registry provider '${wanted}' not found. Available: ${this.getAvailableRegistries().join(', ')}`)
  }

  /** @returns {string[]} */
  getAvailableRegistries() {
    return Object.keys(this.registries)
  }

  /** @param {string} name */
  setDefaultRegistry(name) {
    if (!Object.hasOwn(this.registries, name)) throw new Error(`Cannot set default registry to '${name}' - registry not found`)
    this.defaultRegistry = name
    this.logger.info(`Default registry set to: ${name}`)
  }

  /** @param {string} [registryName] */
  async checkLogin(registryName) {
    return this.getRegistry(registryName).checkLogin()
  }

  /** @param {AgentType} agentType @param {string} [registryName] @param {string} [username] */
  async getImageName(agentType, registryName, username) {
    return this.getRegistry(registryName).getImageName(agentType, username)
  }

  /** @param {string} username @param {AgentType[]} [selectedAgents] @param {string} [registryName] */
  async uploadImages(username, selectedAgents, registryName) {
    const registry = this.getRegistry(registryName)
    this.logger.info(`Uploading images to ${registry.getRegistryName()}`)
    return registry.uploadImages(username, selectedAgents)
  }

  /** @param {string} imageName @param {string} [registryName] */
  async pullImage(imageName, registryName) {
    await this.getRegistry(registryName).pullImage(imageName)
  }

  /** @param {string} imageName @param {string} [registryName] */
  async checkLocalImage(imageName, registryName) {
    return this.getRegistry(registryName).checkLocalImage(imageName)
  }

  /**
   * As the registry does it, or, if it has no way of its own, by an upload.
   * @param {AgentType[]} [selectedAgents]
   * @param {string} [registryName]
   * @returns {Promise<import('../../registry').SetupResult>}
   */
  async setupRegistry(selectedAgents, registryName) {
    const registry = this.getRegistry(registryName)
    if (typeof registry.setupRegistry === 'function') return registry.setupRegistry(selectedAgents)
    const { isLoggedIn, username } = await registry.checkLogin()
    if (!isLoggedIn || !username) return { success: false, error: `Not logged into ${registry.getRegistryName()}` }
    const { success } = await registry.uploadImages(username, selectedAgents)
    return { success, error: success ? undefined : 'Failed to upload images to registry' }
  }

  /** @param {string} [registryName] */
  getRegistryInfo(registryName) {
    const registry = this.getRegistry(registryName)
    return { name: registry.getRegistryName(), url: registry.getRegistryUrl() }
  }
}

module.exports = { RegistryManager }
