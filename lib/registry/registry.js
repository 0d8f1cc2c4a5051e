'use strict'

/** What the three registries have in common. */

const { text } = require('../arguments')
const { revive, wrongValue } = require('../errors')
const { ConfigManager } = require('../services/config-manager')
const { DockerClient, docker } = require('../services/docker-client')
const { withLogger } = require('../services/logger')
const { uploaded } = require('./upload')

/** @typedef {import('../../services').Logger} Logger */

/**
 * The parts a registry works with.
 * @param {string} owner name of the class
 * @param {{ retryAttempts?: number, retryDelayMs?: number, logger?: Partial<Logger> }} config
 */
function partsOf(owner, config) {
  const { retryAttempts, retryDelayMs, logger } = withLogger(owner, config)
  return { logger, dockerClient: new DockerClient({ retryAttempts, retryDelayMs, logger }), configManager: new ConfigManager({ logger }) }
}

/**
 * An argument that becomes part of names.
 * @param {string} field @param {unknown} value @param {string} hint
 * @returns {string}
 */
function nonEmpty(field, value, hint) {
  const given = text(field, value, hint)
  if (given === '') throw revive(wrongValue(field, 'a name', given, hint))
  return given
}

/**
 * Registries the Docker daemon knows of.
 * @returns {Promise<string[]>}
 */
async function knownRegistries() {
  const { stdout } = await docker(['system', 'info', '--format', 'json'], { whole: true })
  return Object.keys(JSON.parse(stdout).RegistryConfig?.IndexConfigs ?? {})
}

/**
 * Notes uploaded images in the settings and makes them preferred.
 * @param {ConfigManager} configManager
 * @param {import('../../registry').RegistryResult} result
 * @param {Record<string, string>} facts what else to note
 */
function noteImages(configManager, result, facts) {
  return configManager.changeConfig(({ registryImages }) => ({
    registryImages: { ...registryImages, ...uploaded(result) },
    preferRegistryImages: true,
    ...facts,
  }))
}

module.exports = { partsOf, nonEmpty, knownRegistries, noteImages }
