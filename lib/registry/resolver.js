'use strict'

const { existsSync } = require('node:fs')
const { AGENT_LIST } = require('../constants')
const { messageOf } = require('../errors')
const { ConfigManager } = require('../services/config-manager')
const { DockerClient } = require('../services/docker-client')
const { agentImage, agentsOf } = require('../services/images')
const { withLogger } = require('../services/logger')
const { RegistryManager } = require('./manager')

/** @typedef {import('../../services').AgentType} AgentType */

/** What runs where nothing better is to be had. */
const FALLBACK = 'ubuntu:24.04'

/** Where the agent is built from, relative to the working directory of the process. @param {string} agentType */
const dockerfileOf = (agentType) => `assets/dockerfiles/Dockerfile.${agentType}`

/** Only agents there are: a type is part of a path here. @param {string} agentType */
const isBuildable = (agentType) => /** @type {string[]} */ (AGENT_LIST).includes(agentType) && existsSync(dockerfileOf(agentType))

/** Finds, pulls or builds the image of an agent. */
class ImageResolver {
  /**
   * @param {import('../../registry').ImageResolverConfig} [config]
   * @param {RegistryManager} [registryManager]
   */
  constructor(config = {}, registryManager) {
    const given = withLogger('ImageResolver', config)
    const { logger } = given
    const dockerHubUser = given.dockerHubUser ?? ''
    const retries = { retryAttempts: given.retryAttempts ?? 3, retryDelayMs: given.retryDelayMs ?? 1000 }
    this.config = {
      preferRegistryImages: given.preferRegistryImages ?? true,
      pushImages: given.pushImages ?? true,
      privateRegistry: given.privateRegistry ?? '',
      dockerHubUser,
      registryUser: given.registryUser ?? dockerHubUser,
      registryName: given.registryName,
      ...retries,
      logger,
    }
    this.dockerClient = new DockerClient({ ...retries, logger })
    this.configManager = new ConfigManager({ logger })
    this.registryManager = registryManager ?? new RegistryManager({ logger })
  }

  /**
   * The image to run an agent in: the one on this machine, else the registry's, else one built here, else a plain system.
   * @param {AgentType} [agentType]
   * @returns {Promise<string>} rejects only when the agent's image cannot be built
   */
  async resolveImage(agentType) {
    if (!agentType) return FALLBACK
    const { dockerClient, config } = this
    const { logger } = config
    const local = this.getLocalImageTag(agentType)
    if (await dockerClient.checkLocalImage(local)) {
      logger.debug(`Using cached local image: ${local}`)
      return local
    }
    if (config.preferRegistryImages && (await this.#pull(agentType, local))) return local
    if (!isBuildable(agentType)) {
      logger.warn(`No image available for ${agentType}, using fallback`)
      return FALLBACK
    }
    try {
      await dockerClient.buildImage(dockerfileOf(agentType), local, '.')
    } catch (error) {
      logger.error('Failed to build image from Dockerfile', error)
      throw new Error(`Failed to resolve image for ${agentType}: ${messageOf(error)}`, { cause: error })
    }
    logger.info(`✓ Built ${agentType} agent`)
    if (config.pushImages) await this.#push(agentType, local)
    return local
  }

  /** The name of the agent's image in the registry. @param {AgentType} agentType */
  #registryImage(agentType) {
    const { registryName, registryUser } = this.config
    return this.registryManager.getImageName(agentType, registryName, registryUser || undefined)
  }

  /**
   * Gets the registry's image under the local name. No registry, no login and no image all mean the same: it is not to be had.
   * @param {AgentType} agentType @param {string} local
   * @returns {Promise<boolean>}
   */
  async #pull(agentType, local) {
    const { logger, registryName } = this.config
    try {
      const image = await this.#registryImage(agentType)
      if (!image) return false
      // From the registry that gave the name. Upstream asks the default one, whatever `registryName` says.
      await this.registryManager.pullImage(image, registryName)
      logger.info(`Successfully pulled image from registry: ${image}`)
      await this.dockerClient.tagImage(image, local)
      return true
    } catch {
      logger.debug('Registry image not found, will build locally')
      return false
    }
  }

  /** The next machine need not build then; this one has what it needs. @param {AgentType} agentType @param {string} local */
  async #push(agentType, local) {
    const { logger } = this.config
    try {
      const image = await this.#registryImage(agentType)
      if (!image) return
      await this.dockerClient.tagImage(local, image)
      await this.dockerClient.pushImage(image)
      logger.debug(`Pushed image to registry: ${image}`)
    } catch (error) {
      logger.warn('Failed to push to registry, continuing with local image', error)
    }
  }

  /** @param {AgentType} agentType */
  getLocalImageTag(agentType) {
    return agentImage(agentType, this.config.registryUser)
  }

  /**
   * Resolves the images of several agents, one after the other.
   * @param {AgentType[]} [selectedAgents] all of them without it
   * @returns {Promise<import('../../registry').PrebuildResult>} a success when at least one is ready
   */
  async prebuildImages(selectedAgents) {
    const { logger } = this.config
    logger.info('Preparing agent images...')
    /** @type {import('../../registry').PrebuildResult['results']} */
    const results = []
    for (const agentType of /** @type {AgentType[]} */ (agentsOf(selectedAgents))) {
      try {
        await this.resolveImage(agentType)
        results.push({ agentType, success: true, source: 'cached' })
      } catch (error) {
        logger.error(`Failed to pre-build image for ${agentType}`, error)
        results.push({ agentType, success: false, error: messageOf(error), source: 'dockerfile' })
      }
    }
    const ready = results.filter(({ success }) => success).length
    if (ready === results.length) logger.info('✓ All agent images ready')
    else if (ready > 0) logger.info(`Images prepared: ${ready}/${results.length} successful`)
    return { success: ready > 0, results }
  }

  /** @returns {AgentType[]} those with a Dockerfile below the working directory */
  getAvailableAgentTypes() {
    return /** @type {AgentType[]} */ (AGENT_LIST.filter(isBuildable))
  }

  /** @param {AgentType} agentType */
  hasLocalImage(agentType) {
    return this.dockerClient.checkLocalImage(this.getLocalImageTag(agentType))
  }

  /** @param {AgentType} agentType @param {boolean} [force] @returns {Promise<void>} */
  async removeLocalImage(agentType, force = false) {
    const local = this.getLocalImageTag(agentType)
    await this.dockerClient.removeImage(local, force)
    this.config.logger.info(`Removed local image: ${local}`)
  }
}

module.exports = { ImageResolver }
