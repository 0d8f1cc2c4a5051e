'use strict'

const { messageOf } = require('../errors')
const { docker } = require('../services/docker-client')
const { agentImage, imageReference } = require('../services/images')
const { run, LIMITS } = require('../services/run')
const { partsOf, knownRegistries, noteImages } = require('./registry')
const { uploadEach, tally } = require('./upload')

/** @typedef {import('../../services').AgentType} AgentType */
/** @typedef {import('../../registry').RegistryProvider} RegistryProvider */
/** @typedef {import('../../registry').RegistryResult} RegistryResult */

/** Any registry of ECR, whatever its account and region. */
const ECR_HOST = /\.dkr\.ecr\..*amazonaws\.com/

/** @param {string[]} args */
const aws = (args) => run('aws', args, { timeoutMs: LIMITS.network })

/**
 * AWS Elastic Container Registry, by the AWS CLI.
 * @implements {RegistryProvider}
 */
class AWSECRRegistry {
  /** @param {import('../../registry').AWSECRConfig} [config] */
  constructor(config = {}) {
    const { dockerClient, configManager, logger } = partsOf('AWSECRRegistry', config)
    this.dockerClient = dockerClient
    this.configManager = configManager
    this.logger = logger
    this.awsRegion = config.awsRegion || process.env.AWS_REGION || 'us-east-1'
    this.awsAccountId = config.awsAccountId || process.env.AWS_ACCOUNT_ID
  }

  /**
   * Host of the registry.
   * @param {string} [purpose]
   * @returns {string}
   */
  getEcrUrl(purpose = 'operations') {
    const { awsAccountId, awsRegion } = this
    if (!awsAccountId) throw new Error(`AWS Account ID required for ECR ${purpose}`)
    const host = `${awsAccountId}.dkr.ecr.${awsRegion}.amazonaws.com`
    // It becomes an argument of docker: it must be nothing but a host.
    if (/^[a-zA-Z0-9][a-zA-Z0-9.-]*$/.test(host)) return host
    throw new Error(`Invalid ECR registry: ${host}. Check awsAccountId and awsRegion.`)
  }

  /** @returns {Promise<import('../../services').DockerLoginInfo>} */
  async checkLogin() {
    try {
      const registry = this.getEcrUrl()
      const known = (await knownRegistries()).some((name) => ECR_HOST.test(name))
      return { isLoggedIn: known, username: known ? this.awsAccountId : null, registry }
    } catch (error) {
      this.logger.debug('Failed to check ECR login status', error)
      return { isLoggedIn: false, username: null, registry: 'ecr' }
    }
  }

  /**
   * Logs docker in with a password of the AWS CLI. A shell's pipe hides it when the CLI fails, and docker is then called with an
   * empty password; here that is the failure.
   * @returns {Promise<void>}
   */
  async login() {
    const host = this.getEcrUrl('login')
    try {
      const { stdout } = await aws(['ecr', 'get-login-password', '--region', this.awsRegion])
      await docker(['login', '--username', 'AWS', '--password-stdin', host], { timeoutMs: LIMITS.network, secret: stdout.trim() })
    } catch (error) {
      throw new Error(`Failed to login to ECR: ${messageOf(error)}`, { cause: error })
    }
    this.logger.info(`Successfully logged into ECR in region ${this.awsRegion}`)
  }

  /** Creates the repository unless it is there. @param {string} repositoryName @returns {Promise<void>} */
  async ensureRepository(repositoryName) {
    try {
      await aws(['ecr', 'describe-repositories', '--repository-names', repositoryName, '--region', this.awsRegion])
      this.logger.debug(`Repository ${repositoryName} already exists`)
    } catch {
      // Why the first call failed shows in the second.
      try {
        await aws(['ecr', 'create-repository', '--repository-name', repositoryName, '--region', this.awsRegion])
      } catch (error) {
        throw new Error(`Failed to create ECR repository: ${messageOf(error)}`, { cause: error })
      }
      this.logger.info(`Created ECR repository: ${repositoryName}`)
    }
  }

  /**
   * Whose images they are is the account, not a user.
   * @param {AgentType} agentType
   * @returns {Promise<string | null>} the name chosen in the settings, if it is one of ECR, else that of the account's image; nothing without an account
   */
  async getImageName(agentType) {
    const chosen = await this.configManager.getRegistryImage(agentType)
    if (typeof chosen === 'string' && chosen.includes('.dkr.ecr.')) return chosen
    return this.awsAccountId ? agentImage(agentType, this.getEcrUrl()) : null
  }

  /**
   * @param {string} username the account, if none is configured; it stays configured
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<RegistryResult>}
   */
  async uploadImages(username, selectedAgents) {
    const { dockerClient, logger } = this
    this.awsAccountId ||= username
    if (!(await this.checkLogin()).isLoggedIn) await this.login()
    const host = this.getEcrUrl()
    logger.info(`Uploading VibeKit images to ECR in region ${this.awsRegion}`)
    const result = await uploadEach(
      selectedAgents,
      async (agentType) => {
        logger.info(`Processing ${agentType} agent`)
        const local = agentImage(agentType)
        if (!(await dockerClient.checkLocalImage(local))) throw new Error(`Local image ${local} not found. Build it first.`)
        await this.ensureRepository(`vibekit-${agentType}`)
        const imageUrl = agentImage(agentType, host)
        await dockerClient.tagImage(local, imageUrl)
        await dockerClient.pushImage(imageUrl)
        logger.info(`✓ Uploaded ${agentType} to ECR`)
        return { imageUrl }
      },
      (agentType, error) => logger.error(`Failed to upload ${agentType}`, error),
    )
    logger.info(`Upload complete: ${tally(result)} images uploaded to ECR`)
    return result
  }

  /** @param {string} imageName with or without the registry's host @returns {Promise<void>} */
  async pullImage(imageName) {
    const image = imageReference(imageName)
    if (!(await this.checkLogin()).isLoggedIn) await this.login()
    const full = image.includes('.dkr.ecr.') ? image : `${this.getEcrUrl()}/${image}`
    try {
      await docker(['pull', full], { timeoutMs: LIMITS.transfer })
    } catch (error) {
      throw new Error(`Failed to pull from ECR: ${messageOf(error)}`, { cause: error })
    }
    this.logger.debug(`Successfully pulled ${full}`)
  }

  /** @param {string} imageName */
  checkLocalImage(imageName) {
    return this.dockerClient.checkLocalImage(imageName)
  }

  /** @returns {string} `ecr` while the account is unknown */
  getRegistryUrl() {
    return this.awsAccountId ? this.getEcrUrl() : 'ecr'
  }

  getRegistryName() {
    return 'ecr'
  }

  /**
   * Uploads, and notes account, region and images in the settings.
   * @param {AgentType[]} [selectedAgents]
   * @returns {Promise<import('../../registry').SetupResult>}
   */
  async setupRegistry(selectedAgents) {
    const { awsAccountId, awsRegion } = this
    if (!awsAccountId) return { success: false, error: 'AWS Account ID required. Set AWS_ACCOUNT_ID environment variable.' }
    try {
      await aws(['sts', 'get-caller-identity'])
    } catch {
      return { success: false, error: 'AWS CLI not configured. Run "aws configure" first.' }
    }
    try {
      const result = await this.uploadImages(awsAccountId, selectedAgents)
      if (!result.success) return { success: false, error: 'Failed to upload images to ECR' }
      const facts = { registryType: 'ecr', registryUser: awsAccountId, awsRegion }
      return { success: true, config: await noteImages(this.configManager, result, facts) }
    } catch (error) {
      return { success: false, error: messageOf(error) }
    }
  }
}

module.exports = { AWSECRRegistry }
