'use strict'

const { messageOf } = require('../errors')
const { agentsOf } = require('../services/images')

/** @typedef {import('../../services').AgentType} AgentType */
/** @typedef {import('../../registry').RegistryResult} RegistryResult */

/**
 * Uploads the images of agents, one after the other: docker pushes the layers of one image in parallel already.
 * @param {AgentType[] | undefined} selected
 * @param {(agentType: AgentType) => Promise<{ imageUrl: string } | { error: string }>} upload
 * @param {(agentType: AgentType, error: unknown) => void} failed told what it threw
 * @returns {Promise<RegistryResult>} a success when at least one went up
 */
async function uploadEach(selected, upload, failed) {
  /** @type {RegistryResult['results']} */
  const results = []
  for (const agentType of /** @type {AgentType[]} */ (agentsOf(selected))) {
    try {
      const outcome = await upload(agentType)
      results.push({ agentType, success: 'imageUrl' in outcome, ...outcome })
    } catch (error) {
      failed(agentType, error)
      results.push({ agentType, success: false, error: messageOf(error) })
    }
  }
  return { success: results.some(({ success }) => success), results }
}

/** How many of how many. @param {RegistryResult} result */
const tally = ({ results }) => `${results.filter(({ success }) => success).length}/${results.length}`

/**
 * Where the images are now.
 * @param {RegistryResult} result
 * @returns {Partial<Record<AgentType, string>>}
 */
function uploaded({ results }) {
  /** @type {Partial<Record<AgentType, string>>} */
  const images = {}
  for (const { agentType, imageUrl } of results) if (imageUrl) images[agentType] = imageUrl
  return images
}

module.exports = { uploadEach, tally, uploaded }
