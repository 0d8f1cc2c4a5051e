'use strict'

const { messageOf } = require('../errors')
const { agentImage } = require('../services/images')
const { partsOf, nonEmpty } = require('./registry')
const { uploadEach, tally, uploaded } = require('./upload')

/** @typedef {import('../../services').AgentType} AgentType */
/** @typedef {import('../../registry').RegistryProvider} RegistryProvider */
/** @typedef {import('../../registry').RegistryResult} RegistryResult */

/**
 * Docker Hub.
 * @implements {RegistryProvider}
 */
class DockerHubRegistry {
  /** @param {import('../../registry').DockerHubConfig} [config] */
  constructor(config = {}) {
    const { dockerClient, configManager, logger } = partsOf('DockerHubRegistry', config)
    this.dockerClient = dockerClient
    this.configManager = configManager
    this.logger = logger
  }

  checkLogin() {
    return this.dockerClient.checkDockerLogin()
  }

  /**
   * @param {AgentType} agentType
   * @param {string} [username]
   * @returns {Promise<string | null>} the name chosen in the settings, else that of the user's image; nothing without a user
   */
  async getImageName(agentType, username) {
    const chosen = await this.configManager.getRegistryImage(agentType)
    if (chosen) return chosen
    const user = username || (await this.configManager.getDockerHubUser()) || (await this.checkLogin()).username
    return user ? agentImage(agentType, user) : null
  }

  /**
   * @param {string} dockerHubUser
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<RegistryResult>}
   */
  async uploadImages(dockerHubUser, selectedAgents) {
    const { dockerClient, logger } = this
    const user = nonEmpty('dockerHubUser', dockerHubUser, 'Pass the name of the Docker Hub account.')
    logger.info(`Uploading VibeKit images to ${user}'s Docker Hub account`)
    const result = await uploadEach(
      selectedAgents,
      async (agentType) => {
        logger.info(`Processing ${agentType} agent`)
        const local = agentImage(agentType)
        if (!(await dockerClient.checkLocalImage(local))) {
          logger.warn(`Local image ${local} not found, skipping upload`)
          return { error: `Local image ${local} not found` }
        }
        const imageUrl = agentImage(agentType, user)
        await dockerClient.tagImage(local, imageUrl)
        logger.info(`Tagged as ${imageUrl}`)
        logger.info(`Pushing ${imageUrl} to Docker Hub`)
        await dockerClient.pushImage(imageUrl)
        logger.info(`Successfully pushed ${imageUrl}`)
        return { imageUrl }
      },
      (agentType, error) => logger.error(`Failed to upload ${agentType} image`, error),
    )
    logger.info(`Upload complete: ${tally(result)} images uploaded`)
    return result
  }

  /**
   * Uploads, and notes the user and the images in the settings. Other settings, and images noted before, stay; upstream writes
   * a file with nothing else in it.
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<import('../../registry').SetupResult>}
   */
  async setupRegistry(selectedAgents) {
    const { configManager, logger } = this
    try {
      logger.info('Setting up VibeKit Docker Registry Integration')
      const { isLoggedIn, username } = await this.checkLogin()
      if (!isLoggedIn || !username) {
        return { success: false, error: 'Not logged into Docker Hub. Please run "docker login" first.' }
      }
      logger.info(`Logged in as: ${username}`)
      const result = await this.uploadImages(username, selectedAgents)
      if (!result.success) return { success: false, error: 'Failed to upload images to Docker Hub' }
      const config = await configManager.changeConfig(({ registryImages }) => ({
        dockerHubUser: username,
        lastImageBuild: new Date().toISOString(),
        registryImages: { ...registryImages, ...uploaded(result) },
      }))
      logger.info('Configuration saved')
      return { success: true, config }
    } catch (error) {
      logger.error('Failed to setup Docker registry', error)
      return { success: false, error: messageOf(error) }
    }
  }

  /** @param {string} imageName */
  pullImage(imageName) {
    return this.dockerClient.pullImage(imageName)
  }

  /** @param {string} imageName */
  checkLocalImage(imageName) {
    return this.dockerClient.checkLocalImage(imageName)
  }

  getRegistryUrl() {
    return 'https://index.docker.io/v1/'
  }

  getRegistryName() {
    return 'Docker Hub'
  }
}

module.exports = { DockerHubRegistry }
