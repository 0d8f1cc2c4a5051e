'use strict'

/** This package. */

const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { AGENT, shellOfKit } = require('./kit')

const ROOT = path.join(__dirname, '..', '..')

/** @returns {Promise<any>} */
const load = () => import(pathToFileURL(path.join(ROOT, 'index.mjs')).href)

/** @param {object} provider */
async function kit(provider) {
  const { VibeKit } = await load()
  return new VibeKit().withAgent(AGENT).withSandbox(provider)
}

/** The embedded sandbox by itself. @param {object} [options] of `local` */
async function provider(options) {
  const { createLocalProvider } = await load()
  return createLocalProvider({ network: 'deny', ...options })
}

/** @param {object} [options] of `local` */
async function shell(options) {
  return shellOfKit(await kit(await provider(options)))
}

module.exports = { name: 'ours', load, require: () => require(ROOT), kit, provider, shell }
