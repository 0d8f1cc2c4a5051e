'use strict'

/**
 * Builds the addon and puts it beside package.json, where lib/loader.js looks first. Plain cargo and a copy: the profile
 * `fast` unless `--release` is given. `--target <rust target>` builds for another platform.
 */

const fs = require('node:fs')
const path = require('node:path')
const { run, fail } = require('./run')
const { PLATFORMS, BINARY } = require('./platforms')
const { triple: hostTriple } = require('../lib/loader')

const root = path.join(__dirname, '..')

/**
 * @param {{ release?: boolean, target?: string }} [options]
 * @returns {Promise<string>} path of the binary
 */
async function build({ release = false, target } = {}) {
  const triple = target ? PLATFORMS.find((platform) => platform.target === target)?.triple : hostTriple()
  if (!triple) fail(`No platform of this package has the target ${target}. See scripts/platforms.js.`)
  const args = ['build', '--package', BINARY, '--lib', '--profile', release ? 'release' : 'fast']
  if (target) args.push('--target', target)
  // Cargo names the files it made as JSON on stdout; progress and diagnostics stay on stderr, live.
  args.push('--message-format', 'json-render-diagnostics')
  const { code, output } = await run('cargo', args, { cwd: root, keep: 'stdout', quiet: true }).catch((error) =>
    error.code === 'ENOENT'
      ? fail('The addon is written in Rust and cargo is not installed. Install Rust 1.88 or later from https://rustup.rs and run this again.')
      : fail(`cargo could not be started: ${error.message}`),
  )
  if (code !== 0) fail(`cargo ended with code ${code}; what it printed above says why.`)
  const built = artifact(output)
  if (!built) fail('cargo reported no library. Run `cargo build --package vibekit-native` to see what it makes.')
  const place = path.join(root, `${BINARY}.${triple}.node`)
  // Renamed into place: a process that has the old one loaded keeps it.
  const temporary = `${place}.${process.pid}`
  fs.copyFileSync(built, temporary)
  fs.renameSync(temporary, place)
  return place
}

/** The dynamic library among what cargo reports. @param {string} output @returns {string | undefined} */
function artifact(output) {
  for (const line of output.split('\n')) {
    if (!line.startsWith('{')) continue
    const { reason, target, filenames } = JSON.parse(line)
    if (reason !== 'compiler-artifact' || !target.kind.includes('cdylib') || target.name !== BINARY.replaceAll('-', '_')) continue
    return filenames.find((/** @type {string} */ file) => /\.(so|dylib|dll)$/.test(file))
  }
  return undefined
}

if (require.main === module) {
  const target = process.argv.indexOf('--target')
  build({ release: process.argv.includes('--release'), target: target > 0 ? process.argv[target + 1] : undefined }).then(
    (place) => process.stdout.write(`${path.relative(process.cwd(), place)}\n`),
  )
}

module.exports = { build }
