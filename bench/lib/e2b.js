'use strict'

/** The same sandbox for our provider, for the TypeScript SDK with `@vibe-kit/e2b`, and for the service's own client. */

const { shellOfKit } = require('../subjects/kit')
const { detour } = require('../../testing/e2b-detour')
const { startDouble } = require('./cloud')

const KEY = `e2b_${'0'.repeat(40)}`
const WHERE = '/vibe0'

/** The double, without what only tests want: noise in its messages. */
const startE2B = () => startDouble('e2b', ['quiet'])

/**
 * A sandbox of its own. `frame`: bytes of output the daemon puts into a message; its own 32 KiB without it.
 * @param {any} subject @param {{ url: string }} double @param {{ frame?: number }} [options]
 * @returns {Promise<import('../subjects/kit').Shell>}
 */
async function e2bShell(subject, { url }, { frame } = {}) {
  const env = frame ? { E2B_DOUBLE_FRAME: String(frame) } : {}
  if (subject.name === 'official') return officialShell(subject, url, env)
  const kit = await subject.kit(await provider(subject, url))
  // Opened here: what is measured is not the making of the sandbox.
  const shell = shellOfKit(kit.withSecrets(env))
  await shell.run('true')
  return shell
}

/** What makes sandboxes for kits. @param {any} subject @param {string} url */
async function provider(subject, url) {
  if (subject.name === 'ours') return (await subject.load()).createE2BProvider({ apiKey: KEY, apiUrl: url, sandboxUrl: url })
  detour(url)
  return require('@vibe-kit/e2b').createE2BProvider({ apiKey: KEY })
}

/** @param {any} subject @param {string} url @param {Record<string, string>} env @returns {Promise<import('../subjects/kit').Shell>} */
async function officialShell(subject, url, env) {
  const { Sandbox } = subject.e2b()
  const sandbox = await Sandbox.create('vibekit-codex', { apiKey: KEY, apiUrl: url, sandboxUrl: url, envs: env, timeoutMs: 3_600_000 })
  await sandbox.commands.run(`mkdir -p ${WHERE}`)
  /** @type {Array<(text: string) => void>} */
  const listeners = []
  const onStdout = (/** @type {string} */ text) => listeners.forEach((listener) => listener(text))
  return {
    run: (command, options) => sandbox.commands.run(command, { cwd: WHERE, timeoutMs: 3_600_000, onStdout, ...options }),
    onText: (listener) => listeners.push(listener),
    end: () => sandbox.kill(),
  }
}

module.exports = { startE2B, e2bShell, provider, KEY }
