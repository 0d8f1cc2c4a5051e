'use strict'

/**
 * What the machine is told about its user: the configuration as plain data, the host's environment, and who runs the
 * sandbox. Read when it is needed, so that setters may be called in any order and corrected after a failure.
 */

const { isObject, plain } = require('./arguments')

/**
 * Under this symbol a provider of ours carries its native side. Registered, so that several copies of this module in one
 * process (Jest makes them) know each other's providers; with the version, because they share one addon only then.
 */
const kProvider = Symbol.for(`vibekit-native@${require('../package.json').version}/provider`)

/** @param {unknown} sandbox @returns {import('./native').NativeProvider | null} */
function nativeProviderOf(sandbox) {
  return isObject(sandbox) ? (/** @type {any} */ (sandbox)[kProvider] ?? null) : null
}

/** The parts of a configuration the machine knows; what else an object holds is none of its business. */
const FIELDS = ['agent', 'environment', 'secrets', 'github', 'sessionId', 'workingDirectory', 'worktrees']

/**
 * @typedef {object} Options what the `with*` methods collected; wins over the configuration
 * @property {unknown} [agent]
 * @property {unknown} [sandbox]
 * @property {unknown} [secrets]
 * @property {unknown} [github]
 * @property {unknown} [environment]
 * @property {unknown} [worktrees]
 * @property {unknown} [telemetry]
 * @property {unknown} [workingDirectory]
 * @property {unknown} [sandboxId]
 */

/**
 * @typedef {object} Setup
 * @property {string} json
 * @property {unknown} sandbox the object given as sandbox provider
 * @property {import('./native').NativeProvider | null} provider its native side, if it is one of ours
 * @property {Record<string, unknown>} secrets as the user gave them
 * @property {string | null} sessionId
 */

/**
 * @param {boolean} fluent made without a configuration
 * @param {unknown} given the configuration
 * @param {Options} options
 * @param {boolean} [detached] no sandbox is needed
 * @returns {Setup}
 */
function setupOf(fluent, given, options, detached = false) {
  const { sandbox: chosen, sandboxId, ...chosenFields } = options
  const base = isObject(given) ? given : {}
  const sandbox = chosen ?? base.sandbox
  const provider = nativeProviderOf(sandbox)
  const javascript = sandbox !== undefined && sandbox !== null && provider === null
  /** @type {Record<string, unknown>} */
  const merged = { ...base, ...chosenFields, sessionId: sandboxId ?? base.sessionId }
  // A JavaScript provider gets the secrets from here, of whatever type; the machine only needs the usable ones.
  const secrets = isObject(merged.secrets) ? merged.secrets : {}
  if (javascript) merged.secrets = Object.fromEntries(Object.entries(secrets).filter(([, value]) => typeof value === 'string'))
  /** @type {Record<string, unknown>} */
  const config = {}
  for (const field of FIELDS) config[field] = plain(merged[field], field)
  const json = JSON.stringify({
    generation: fluent ? 'fluent' : 'config',
    driver: javascript || detached ? 'javascript' : 'native',
    provider: provider !== null,
    // Something that is no object is passed on as it is, for the machine to say so.
    config: fluent || isObject(given) ? config : plain(given, 'config') ?? typeof given,
    env: process.env,
  })
  const { sessionId } = config
  return { json, sandbox, provider, secrets, sessionId: typeof sessionId === 'string' && sessionId !== '' ? sessionId : null }
}

module.exports = { setupOf, nativeProviderOf, kProvider }
