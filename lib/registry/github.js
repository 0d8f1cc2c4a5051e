'use strict'

const { messageOf } = require('../errors')
const { docker } = require('../services/docker-client')
const { agentImage, imageReference } = require('../services/images')
const { run, LIMITS } = require('../services/run')
const { partsOf, nonEmpty, knownRegistries, noteImages } = require('./registry')
const { uploadEach, tally } = require('./upload')

/** @typedef {import('../../services').AgentType} AgentType */
/** @typedef {import('../../registry').RegistryProvider} RegistryProvider */
/** @typedef {import('../../registry').RegistryResult} RegistryResult */

const REGISTRY = 'ghcr.io'

/** The user git commits as, in the form of a GitHub name. @returns {Promise<string | null>} nothing if git does not know */
async function gitUser() {
  try {
    const { stdout } = await run('git', ['config', 'user.name'], { timeoutMs: LIMITS.query })
    return stdout.trim().toLowerCase().replace(/\s+/g, '-')
  } catch {
    return null
  }
}

/**
 * The GitHub Container Registry.
 * @implements {RegistryProvider}
 */
class GitHubContainerRegistry {
  /** @param {import('../../registry').GitHubContainerRegistryConfig} [config] */
  constructor(config = {}) {
    const { dockerClient, configManager, logger } = partsOf('GitHubContainerRegistry', config)
    this.dockerClient = dockerClient
    this.configManager = configManager
    this.logger = logger
    // Not enumerable: who prints or logs a registry does not print the token.
    Object.defineProperty(this, 'githubToken', { value: config.githubToken || process.env.GITHUB_TOKEN, writable: true, configurable: true })
    /** @type {string | undefined} */
    this.githubToken
  }

  /** @returns {Promise<import('../../services').DockerLoginInfo>} */
  async checkLogin() {
    try {
      const known = (await knownRegistries()).some((registry) => registry.includes(REGISTRY))
      return { isLoggedIn: known, username: known ? await gitUser() : null, registry: REGISTRY }
    } catch (error) {
      this.logger.debug('Failed to check GHCR login status', error)
      return { isLoggedIn: false, username: null, registry: REGISTRY }
    }
  }

  /**
   * Logs docker in. The token goes by stdin; upstream puts it on a command line.
   * @param {string} username
   * @returns {Promise<void>}
   */
  async login(username) {
    const secret = this.githubToken
    if (!secret) throw new Error('GitHub token required for GHCR login. Set GITHUB_TOKEN environment variable.')
    const user = nonEmpty('username', username, 'Pass the name of the GitHub account.')
    try {
      await docker(['login', REGISTRY, '-u', user, '--password-stdin'], { timeoutMs: LIMITS.network, secret })
    } catch (error) {
      throw new Error(`Failed to login to ${REGISTRY}: ${messageOf(error)}`, { cause: error })
    }
    this.logger.info(`Successfully logged into ${REGISTRY} as ${user}`)
  }

  /**
   * @param {AgentType} agentType
   * @param {string} [username]
   * @returns {Promise<string | null>} the name chosen in the settings, if it is one of this registry, else that of the user's image
   */
  async getImageName(agentType, username) {
    const chosen = await this.configManager.getRegistryImage(agentType)
    if (typeof chosen === 'string' && chosen.includes(REGISTRY)) return chosen
    const user = username || (await this.checkLogin()).username
    return user ? agentImage(agentType, `${REGISTRY}/${user}`) : null
  }

  /**
   * @param {string} username
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<RegistryResult>}
   */
  async uploadImages(username, selectedAgents) {
    const { dockerClient, logger } = this
    const target = `${REGISTRY}/${nonEmpty('username', username, 'Pass the name of the GitHub account.')}`
    if (!(await this.checkLogin()).isLoggedIn) await this.login(username)
    logger.info(`Uploading VibeKit images to ${target}`)
    const result = await uploadEach(
      selectedAgents,
      async (agentType) => {
        logger.info(`Processing ${agentType} agent`)
        const local = agentImage(agentType)
        if (!(await dockerClient.checkLocalImage(local))) throw new Error(`Local image ${local} not found. Build it first.`)
        const imageUrl = agentImage(agentType, target)
        await dockerClient.tagImage(local, imageUrl)
        await dockerClient.pushImage(imageUrl)
        logger.info(`✓ Uploaded ${agentType} to ${target}`)
        return { imageUrl }
      },
      (agentType, error) => logger.error(`Failed to upload ${agentType}`, error),
    )
    logger.info(`Upload complete: ${tally(result)} images uploaded to GHCR`)
    return result
  }

  /** @param {string} imageName with or without `ghcr.io/` @returns {Promise<void>} */
  async pullImage(imageName) {
    const image = imageReference(imageName)
    const full = image.includes(REGISTRY) ? image : `${REGISTRY}/${image}`
    try {
      await docker(['pull', full], { timeoutMs: LIMITS.transfer })
    } catch (error) {
      throw new Error(`Failed to pull from GHCR: ${messageOf(error)}`, { cause: error })
    }
    this.logger.debug(`Successfully pulled ${full}`)
  }

  /** @param {string} imageName */
  checkLocalImage(imageName) {
    return this.dockerClient.checkLocalImage(imageName)
  }

  getRegistryUrl() {
    return REGISTRY
  }

  getRegistryName() {
    return 'ghcr'
  }

  /**
   * Uploads, and notes user and images in the settings.
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<import('../../registry').SetupResult>}
   */
  async setupRegistry(selectedAgents) {
    try {
      const { isLoggedIn, username } = await this.checkLogin()
      if (!isLoggedIn || !username) {
        return { success: false, error: `Not logged into ${REGISTRY}. Please set GITHUB_TOKEN and provide username.` }
      }
      const result = await this.uploadImages(username, selectedAgents)
      if (!result.success) return { success: false, error: 'Failed to upload images to GHCR' }
      const config = await noteImages(this.configManager, result, { registryType: 'ghcr', registryUser: username })
      return { success: true, config }
    } catch (error) {
      return { success: false, error: messageOf(error) }
    }
  }
}

module.exports = { GitHubContainerRegistry }
