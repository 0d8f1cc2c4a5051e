'use strict'

/** The TypeScript SDK as published, its ES modules. */

const { AGENT, processShell } = require('./kit')

/** Not a literal for the compiler, which takes the package for one of ES modules alone. */
const SDK = String('@vibe-kit/sdk')

/** @returns {Promise<any>} */
const load = () => import('@vibe-kit/sdk')

/** @param {object} provider */
async function kit(provider) {
  const { VibeKit } = await load()
  return new VibeKit().withAgent(AGENT).withSandbox(provider)
}

async function shell() {
  const { VibeKit } = await load()
  return processShell((provider) => new VibeKit().withAgent(AGENT).withSandbox(provider))
}

module.exports = { name: 'ts', load, require: () => require(SDK), kit, shell }
