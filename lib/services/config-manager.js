'use strict'

const { existsSync } = require('node:fs')
const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')
const { randomUUID } = require('node:crypto')
const { isObject } = require('../arguments')
const { messageOf, revive, wrongType } = require('../errors')
const { withLogger } = require('./logger')

/** @typedef {import('../../services').VibeKitConfig} VibeKitConfig */

const DEFAULTS = { preferRegistryImages: true, pushImages: true }

const nothing = () => {}

/** The last change under way of each file: changes read what they change, so one waits for the other. @type {Map<string, Promise<unknown>>} */
const changes = new Map()

/**
 * Does something after all changes of the file that were asked for before, in whichever instance.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
function inTurn(file, work) {
  const key = path.resolve(file)
  const mine = (changes.get(key) ?? Promise.resolve()).then(work)
  const done = mine.then(nothing, nothing)
  changes.set(key, done)
  void done.then(() => changes.get(key) === done && changes.delete(key))
  return mine
}

/** Whether there is no such file, or no folder to hold it. @param {unknown} error */
const isMissing = (error) => isObject(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')

/**
 * Replaces a file as a whole: whoever reads sees the old content or the new one, whatever happens in between. Only the owner
 * may read it.
 * @param {string} file
 * @param {string} text
 */
async function replace(file, text) {
  // A link, as kept by those who version their settings, stays a link.
  const target = await fs.realpath(file).catch(() => file)
  const temporary = `${target}.${randomUUID()}.tmp`
  try {
    const handle = await fs.open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, target)
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

/** The settings shared by the registries: one JSON file, `~/.vibekit/config.json` by default. */
class ConfigManager {
  /** @param {import('../../services').ConfigManagerOptions} [options] */
  constructor(options = {}) {
    const { configPath, logger } = withLogger('ConfigManager', options)
    this.configDir = configPath || path.join(os.homedir(), '.vibekit')
    this.configPath = path.join(this.configDir, 'config.json')
    this.logger = logger
  }

  /** @returns {Promise<VibeKitConfig>} empty if there is no file or it cannot be read */
  async getConfig() {
    try {
      return (await this.#read()) ?? {}
    } catch (error) {
      this.logger.warn(`Failed to read config file: ${messageOf(error)}`)
      return {}
    }
  }

  /** @returns {Promise<VibeKitConfig | undefined>} nothing if there is no file */
  async #read() {
    let text
    try {
      text = await fs.readFile(this.configPath, 'utf8')
    } catch (error) {
      if (!isMissing(error)) throw error
      this.logger.debug(`Config file not found at ${this.configPath}, returning empty config`)
      return undefined
    }
    const config = JSON.parse(text)
    this.logger.debug(`Loaded config from ${this.configPath}`)
    return config
  }

  /**
   * Replaces the file. The new one is written beside it and then takes its place; upstream overwrites it in place.
   * @param {VibeKitConfig} config
   * @returns {Promise<void>}
   */
  saveConfig(config) {
    return inTurn(this.configPath, () => this.#write(config))
  }

  /** @param {VibeKitConfig} config */
  async #write(config) {
    try {
      if (!isObject(config) || Array.isArray(config)) throw revive(wrongType('config', 'an object', config, 'Pass the settings to write.'))
      const text = JSON.stringify(config, null, 2)
      if (!existsSync(this.configDir)) {
        await fs.mkdir(this.configDir, { recursive: true, mode: 0o700 })
        this.logger.debug(`Created config directory: ${this.configDir}`)
      }
      await replace(this.configPath, text)
      this.logger.debug(`Saved config to ${this.configPath}`)
    } catch (error) {
      this.logger.error(`Failed to save config: ${messageOf(error)}`, error)
      throw error
    }
  }

  /**
   * Sets some settings and leaves the others.
   * @param {Partial<VibeKitConfig>} updates
   * @returns {Promise<VibeKitConfig>} all of them
   */
  updateConfig(updates) {
    return this.changeConfig(() => updates)
  }

  /**
   * The same with settings that depend on the present ones. Changes wait for each other, so none is lost.
   * @param {(config: VibeKitConfig) => Partial<VibeKitConfig>} updatesOf
   * @returns {Promise<VibeKitConfig>}
   */
  changeConfig(updatesOf) {
    return inTurn(this.configPath, async () => {
      const present = await this.#readToChange()
      const config = { ...present, ...updatesOf(present) }
      await this.#write(config)
      return config
    })
  }

  /**
   * A file that is no JSON counts as empty, as for `getConfig()`, but is not lost: somebody edited it by hand. One that cannot
   * be read at all is left alone.
   * @returns {Promise<VibeKitConfig>}
   */
  async #readToChange() {
    try {
      return (await this.#read()) ?? {}
    } catch (error) {
      if (/** @type {Error} */ (error).name !== 'SyntaxError') throw error
      const kept = `${this.configPath}.invalid`
      await fs.copyFile(this.configPath, kept)
      this.logger.warn(`Failed to read config file: ${messageOf(error)}`)
      this.logger.warn(`Starting anew; what was there is kept in ${kept}`)
      return {}
    }
  }

  /** @returns {Promise<string | undefined>} */
  async getDockerHubUser() {
    return (await this.getConfig())?.dockerHubUser
  }

  /** @param {string} username @returns {Promise<void>} */
  async setDockerHubUser(username) {
    await this.updateConfig({ dockerHubUser: username })
  }

  /** @param {string} agentType @returns {Promise<string | undefined>} */
  async getRegistryImage(agentType) {
    const config = await this.getConfig()
    return /** @type {Record<string, string> | undefined} */ (config?.registryImages)?.[agentType]
  }

  /** @param {string} agentType @param {string} imageUrl @returns {Promise<void>} */
  async setRegistryImage(agentType, imageUrl) {
    await this.setRegistryImages({ [agentType]: imageUrl })
  }

  /** @param {Partial<Record<string, string>>} images @returns {Promise<void>} */
  async setRegistryImages(images) {
    await this.changeConfig((config) => ({ registryImages: { ...config.registryImages, ...images } }))
  }

  /** @returns {Promise<boolean>} */
  async preferRegistryImages() {
    return (await this.getConfig())?.preferRegistryImages ?? DEFAULTS.preferRegistryImages
  }

  /** @returns {Promise<boolean>} */
  async shouldPushImages() {
    return (await this.getConfig())?.pushImages ?? DEFAULTS.pushImages
  }

  /** @returns {string} */
  getConfigPath() {
    return this.configPath
  }

  /** @returns {string} */
  getConfigDir() {
    return this.configDir
  }

  /** @returns {boolean} */
  configExists() {
    return existsSync(this.configPath)
  }

  /** @returns {Promise<void>} */
  deleteConfig() {
    return inTurn(this.configPath, async () => {
      try {
        await fs.unlink(this.configPath)
      } catch (error) {
        if (isMissing(error)) return
        throw error
      }
      this.logger.debug(`Deleted config file: ${this.configPath}`)
    })
  }

  /** @returns {Promise<void>} */
  async resetConfig() {
    await this.saveConfig({ ...DEFAULTS })
    this.logger.info('Configuration reset to defaults')
  }
}

module.exports = { ConfigManager }
