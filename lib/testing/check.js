'use strict'

/** The conformance suite for provider objects: what `vibekit-native/testing` exports. */

const { setTimeout: sleep } = require('node:timers/promises')
const { CHECKS } = require('./checks')
const { revive, wrongType } = require('../errors')
const { isObject } = require('../arguments')

/**
 * @typedef {import('../../testing').CheckOptions} CheckOptions
 * @typedef {import('../../testing').CheckReport} CheckReport
 * @typedef {import('../../testing').CheckResult} CheckResult
 * @typedef {import('../../index').SandboxProvider} SandboxProvider
 * @typedef {import('../../index').SandboxInstance} SandboxInstance
 */

const PATIENCE = 30_000
/** Between two looks at a condition. */
const LOOK = 50

/** What a check works with: sandboxes that are killed for it, and a limit on waiting. */
class Trial {
  /** @param {SandboxProvider} provider @param {CheckOptions} options */
  constructor(provider, options) {
    this.provider = provider
    this.another = options.another ?? (() => provider)
    this.leftovers = options.leftovers ?? (() => [])
    this.patience = options.patienceMs ?? PATIENCE
    /** @type {SandboxInstance[]} */
    this.opened = []
  }

  /** @param {Record<string, string>} [envs] @returns {Promise<SandboxInstance>} */
  async sandbox(envs = {}) {
    return this.keep(await this.within('create()', this.provider.create(envs, 'codex', '/vibe0')))
  }

  /** Has it killed after the check. @param {SandboxInstance} sandbox */
  keep(sandbox) {
    this.opened.push(sandbox)
    return sandbox
  }

  /** @param {SandboxInstance} sandbox @param {string} line @param {import('../../index').SandboxCommandOptions} [options] */
  run(sandbox, line, options = { timeoutMs: this.patience, background: false }) {
    return this.within(`run(${JSON.stringify(line)})`, sandbox.commands.run(line, options))
  }

  /**
   * Waits for something that has to happen.
   * @template T
   * @param {string} what @param {Promise<T> | T} work @returns {Promise<T>}
   */
  async within(what, work) {
    const controller = new AbortController()
    const late = sleep(this.patience, undefined, { signal: controller.signal }).then(() => {
      throw new Error(`${what} took longer than ${this.patience} ms`)
    })
    late.catch(() => {})
    try {
      return await Promise.race([work, late])
    } finally {
      controller.abort()
    }
  }

  /** Looks until `look` gives nothing. @param {string} what @param {() => unknown} look */
  async untilNothing(what, look) {
    const end = Date.now() + this.patience
    for (;;) {
      const left = await look()
      if (!left) return
      if (Date.now() > end) throw new Error(`${what}: ${left}`)
      await sleep(LOOK)
    }
  }

  async clean() {
    for (const sandbox of this.opened.splice(0)) await this.within('kill()', sandbox.kill())
    await this.untilNothing('It left behind', async () => (await this.leftovers()).join(', '))
  }
}

/**
 * @param {SandboxProvider} provider @param {CheckOptions} [options]
 * @returns {Promise<CheckReport>}
 */
async function checkProvider(provider, options = {}) {
  if (!isObject(provider)) throw revive(wrongType('provider', 'an object', provider, 'Pass what withSandbox() takes.'))
  /** @type {Record<string, boolean | undefined>} */
  const can = { ...options.capabilities }
  /** @type {CheckResult[]} */
  const results = []
  for (const { check, what, needs, run } of CHECKS) {
    const start = performance.now()
    /** @param {CheckResult['outcome']} outcome @param {string} [why] */
    const ended = (outcome, why) =>
      results.push({ check, what, outcome, ...(why === undefined ? {} : { why }), ms: Math.round(performance.now() - start) })
    if (needs !== undefined && can[needs] === false) {
      ended('unsupported', `declared: no ${needs}`)
      continue
    }
    const trial = new Trial(provider, options)
    /** @type {string[]} */
    const failures = []
    for (const work of [() => run(trial), () => trial.clean()]) {
      try {
        await work()
      } catch (thrown) {
        failures.push(thrown instanceof Error ? thrown.message : String(isObject(thrown) ? (thrown.message ?? 'It rejected with an object') : thrown))
      }
    }
    if (failures.length > 0) ended('failed', failures.join('; then: '))
    else ended('passed')
  }
  return { results, failures: results.filter(({ outcome }) => outcome === 'failed') }
}

module.exports = { checkProvider, Trial }
