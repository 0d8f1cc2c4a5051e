'use strict'

/** What other scripts need first. Runs on plain Node.js, without any dependency. */

const fs = require('node:fs')
const path = require('node:path')
const { run, fail } = require('./run')

const root = path.join(__dirname, '..')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** Installs the development dependencies if they are missing or older than the lock file. */
async function ensureNodeModules() {
  const installed = modified(path.join(root, 'node_modules/.package-lock.json'))
  if (installed > 0 && installed >= modified(path.join(root, 'package-lock.json'))) return
  process.stdout.write('Installing the development dependencies…\n')
  // None of them needs its install script.
  const { code } = await run(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: root })
  if (code !== 0) fail(`npm ci ended with code ${code}.`)
}

/** Builds the addon; cargo does nothing if it is up to date. With VIBEKIT_NATIVE_PATH that binary is used as it is. */
async function ensureAddon() {
  const chosen = process.env.VIBEKIT_NATIVE_PATH
  if (chosen) return process.stdout.write(`Using the addon VIBEKIT_NATIVE_PATH names: ${chosen}\n`)
  process.stdout.write('Building the addon…\n')
  await require('./build').build()
}

/** @param {string} file @returns {number} milliseconds, 0 if it is not there */
function modified(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

module.exports = { ensureNodeModules, ensureAddon }
