'use strict'

const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')
const { messageOf } = require('../errors')
const { imageName, imageReference } = require('./images')
const { withLogger } = require('./logger')
const { run, LIMITS } = require('./run')

/** @typedef {import('../../services').DockerLoginInfo} DockerLoginInfo */

const DOCKER_HUB = 'https://index.docker.io/v1/'
/** The two spellings the Docker CLI has used for Docker Hub. */
const DOCKER_HUB_KEYS = [DOCKER_HUB, 'index.docker.io']
const FORMAT = '{{.Repository}}:{{.Tag}}'
const LONGEST_TIMER = 2 ** 31 - 1

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, LONGEST_TIMER)))

/** @param {string[]} args @param {Partial<import('./run').Call>} [call] */
const docker = (args, call) => run('docker', args, { timeoutMs: LIMITS.query, ...call })

/**
 * The user some command's output speaks of.
 * @param {string} text
 * @returns {string | undefined}
 */
function userIn(text) {
  // The name stands on the line of its label: an unanswered prompt is followed by the next prompt, which is nobody.
  return /\[Username: ([^\]]+)\]/.exec(text)?.[1] ?? /Username:[ \t]*(\S+)/.exec(text)?.[1]
}

/** @param {string | null} username @returns {DockerLoginInfo} */
const loggedIn = (username) => ({ isLoggedIn: true, username, registry: DOCKER_HUB })

/**
 * A path on a command line.
 * @param {string} what
 * @param {unknown} value
 * @returns {string}
 */
function pathOf(what, value) {
  if (typeof value === 'string' && value !== '' && !value.startsWith('-')) return value
  throw new Error(`Invalid ${what}: ${value}. Pass a path; one that begins with a dash is written ./-name.`)
}

/** The Docker CLI: login detection, and building, tagging, pulling, pushing, listing and removing images. */
class DockerClient {
  /** @param {import('../../services').DockerClientConfig} [config] */
  constructor(config = {}) {
    const { retryAttempts, retryDelayMs, logger } = withLogger('DockerClient', config)
    this.config = { retryAttempts: retryAttempts ?? 3, retryDelayMs: retryDelayMs ?? 1000, logger }
  }

  /**
   * Whether somebody is logged into Docker Hub. Looks in three places, and never rejects.
   * @returns {Promise<DockerLoginInfo>}
   */
  async checkDockerLogin() {
    return (await this.#loginOfLogin()) ?? (await this.#loginOfInfo()) ?? (await this.#loginOfConfig()) ?? { isLoggedIn: false }
  }

  /** With stored credentials the command uses them and names their user. */
  async #loginOfLogin() {
    let said
    try {
      const { stdout, stderr } = await docker(['login'], { timeoutMs: LIMITS.login })
      said = stdout + stderr
    } catch (error) {
      said = messageOf(error)
      if (!userIn(said)) this.config.logger.debug('Docker login command check failed:', said)
    }
    const user = userIn(said)
    return user ? loggedIn(user) : undefined
  }

  async #loginOfInfo() {
    try {
      const user = userIn((await docker(['info'], { whole: true })).stdout)
      return user ? loggedIn(user) : undefined
    } catch (error) {
      this.config.logger.debug('Docker info check failed:', messageOf(error))
      return undefined
    }
  }

  async #loginOfConfig() {
    const { logger } = this.config
    try {
      const config = JSON.parse(await fs.readFile(path.join(os.homedir(), '.docker', 'config.json'), 'utf8'))
      const entry = DOCKER_HUB_KEYS.map((key) => config.auths?.[key]).find(Boolean)
      if (!entry) return undefined
      // The credentials lie elsewhere: whether they work shows in use. Whose they are stays unknown.
      if (config.credsStore || config.credHelpers) return (await this.#canPull()) ? loggedIn(null) : undefined
      const user = entry.auth && Buffer.from(entry.auth, 'base64').toString().split(':')[0]
      return user ? loggedIn(user) : undefined
    } catch (error) {
      logger.debug('Config check failed:', messageOf(error))
      return undefined
    }
  }

  async #canPull() {
    try {
      await docker(['pull', 'hello-world:latest'], { timeoutMs: LIMITS.trial })
      return true
    } catch (error) {
      this.config.logger.debug('Docker Hub auth test failed:', messageOf(error))
      return false
    }
  }

  /**
   * Whether an image is on this machine; no on any error.
   * @param {string} tag
   * @returns {Promise<boolean>}
   */
  async checkLocalImage(tag) {
    try {
      const { stdout } = await docker(['images', '-q', imageReference(tag)])
      return stdout.trim() !== ''
    } catch {
      return false
    }
  }

  /** @param {string} image @returns {Promise<void>} */
  async pullImage(image) {
    const name = imageReference(image)
    await this.#retry(`Pulling image ${name}`, () => docker(['pull', name], { timeoutMs: LIMITS.transfer }))
  }

  /** @param {string} image @returns {Promise<void>} */
  async pushImage(image) {
    const name = imageName(image)
    await this.#retry(`Pushing image ${name}`, () => docker(['push', name], { timeoutMs: LIMITS.transfer }))
  }

  /**
   * @param {string} dockerfilePath
   * @param {string} tag
   * @param {string} [contextPath]
   * @returns {Promise<void>}
   */
  async buildImage(dockerfilePath, tag, contextPath = '.') {
    const file = pathOf('Dockerfile path', dockerfilePath)
    const context = pathOf('build context', contextPath)
    await docker(['build', '-t', imageName(tag), '-f', file, context], { timeoutMs: LIMITS.build })
  }

  /** @param {string} source @param {string} target @returns {Promise<void>} */
  async tagImage(source, target) {
    await docker(['tag', imageReference(source), imageName(target)])
  }

  /**
   * @param {string} [filter] name of a repository, with or without tag
   * @returns {Promise<string[]>} `repository:tag` of each
   */
  async listImages(filter) {
    const named = filter ? [imageName(filter)] : []
    const { stdout } = await docker(['images', ...named, '--format', FORMAT], { whole: true })
    return stdout.split('\n').filter((line) => line.trim() !== '')
  }

  /** @param {string} tag @param {boolean} [force] @returns {Promise<void>} */
  async removeImage(tag, force = false) {
    await docker(['rmi', ...(force ? ['-f'] : []), imageName(tag)])
  }

  /**
   * Tries until it works or the attempts are used up.
   * @template T
   * @param {string} what
   * @param {() => Promise<T>} work
   * @returns {Promise<T>} rejects with the last error
   */
  async #retry(what, work) {
    const { retryAttempts, retryDelayMs, logger } = this.config
    let last
    for (let attempt = 1; attempt <= retryAttempts; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        last = error
        logger.debug(`${what} failed (attempt ${attempt}/${retryAttempts})`, error)
        if (attempt < retryAttempts) await sleep(retryDelayMs * 2 ** (attempt - 1))
      }
    }
    throw last ?? new Error(`${what} failed after ${retryAttempts} attempts`)
  }
}

module.exports = { DockerClient, docker }
