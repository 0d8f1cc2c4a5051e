'use strict'

/** Packages from the npm registry in folders outside the repository, for tests that need the real thing. */

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')

/** @param {string} spec @param {string} folder */
async function npmInstall(spec, folder) {
  const quiet = ['--no-audit', '--no-fund', '--no-save', '--no-package-lock', '--loglevel=error']
  // Install scripts would fetch or unpack more; optional packages are native add-ons the programs run without.
  const lean = ['--ignore-scripts', '--omit=optional', '--omit=dev']
  const windows = process.platform === 'win32'
  await promisify(execFile)(windows ? 'npm.cmd' : 'npm', ['install', spec, '--prefix', folder, ...quiet, ...lean], {
    cwd: folder,
    shell: windows,
    timeout: 15 * 60_000,
    maxBuffer: 64 * 1024 * 1024,
    // What an outer `npm run` sets must not redirect this install into the project.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(config_(prefix|local_prefix|global)|package_|lifecycle_)/i.test(name))),
  })
}

/** A lock whose owner has not touched it for this long is taken over. */
const stale = 60_000

/**
 * Runs `work` while no other process does under the same name. The lock is a folder; its owner refreshes it.
 * @param {string} lock @param {() => Promise<void>} work
 */
async function locked(lock, work) {
  for (;;) {
    try {
      await fs.promises.mkdir(lock)
      break
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
    }
    const touched = await fs.promises.stat(lock).then((stat) => stat.mtimeMs, () => Date.now())
    if (Date.now() - touched > stale) await fs.promises.rmdir(lock).catch(() => {})
    else await sleep(250)
  }
  const refresh = setInterval(() => fs.promises.utimes(lock, new Date(), new Date()).catch(() => {}), stale / 4)
  try {
    await work()
  } finally {
    clearInterval(refresh)
    await fs.promises.rmdir(lock).catch(() => {})
  }
}

module.exports = { npmInstall, locked }
