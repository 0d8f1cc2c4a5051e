'use strict'

/** Names of images, before they reach a command line. */

const { AGENT_LIST } = require('../constants')

/** The first character keeps names apart from options. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._\-/:]*$/
const DIGEST = /@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/

/**
 * A name that may be used.
 * @param {unknown} name
 * @returns {string} throws `Invalid image name: …` at others
 */
function imageName(name) {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw new Error(`Invalid image name: ${name}`)
}

/**
 * The same, of an image that is there already: it may be named by its content too (`ubuntu@sha256:…`).
 * @param {unknown} name
 * @returns {string}
 */
function imageReference(name) {
  if (typeof name === 'string' && DIGEST.test(name) && NAME.test(name.replace(DIGEST, ''))) return name
  return imageName(name)
}

/**
 * Name of the image of an agent, as every registry and this machine know it.
 * @param {string} agentType
 * @param {string} [owner] a user, or a registry with or without one
 */
const agentImage = (agentType, owner) => `${owner ? `${owner}/` : ''}vibekit-${agentType}:latest`

/** No selection means all agents. @param {string[]} [selected] @returns {string[]} */
const agentsOf = (selected) => (selected && selected.length > 0 ? selected : AGENT_LIST)

module.exports = { imageName, imageReference, agentImage, agentsOf }
