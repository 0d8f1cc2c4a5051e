'use strict'

/**
 * The platforms the addon is built for: one row per binary package. `node scripts/platforms.js` rewrites `npm/`
 * from it; `node scripts/platforms.js --pin` also lists those packages as optional dependencies, which is what
 * a release publishes. They stay out of the committed package.json because a checkout builds its own binary.
 */

const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const BINARY = 'vibekit-native'

/** @typedef {{ triple: string, target: string, os: string, cpu: string, libc?: string }} Platform */

/** @type {readonly Platform[]} */
const PLATFORMS = [
  { triple: 'linux-x64-gnu', target: 'x86_64-unknown-linux-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { triple: 'linux-arm64-gnu', target: 'aarch64-unknown-linux-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { triple: 'linux-x64-musl', target: 'x86_64-unknown-linux-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  { triple: 'linux-arm64-musl', target: 'aarch64-unknown-linux-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { triple: 'darwin-x64', target: 'x86_64-apple-darwin', os: 'darwin', cpu: 'x64' },
  { triple: 'darwin-arm64', target: 'aarch64-apple-darwin', os: 'darwin', cpu: 'arm64' },
  { triple: 'win32-x64-msvc', target: 'x86_64-pc-windows-msvc', os: 'win32', cpu: 'x64' },
]

/**
 * @param {Platform} platform
 * @param {{ name: string, version: string, license: string, engines: object, repository: object }} main
 */
function manifest(platform, main) {
  const file = `${BINARY}.${platform.triple}.node`
  return {
    name: `${main.name}-${platform.triple}`,
    version: main.version,
    description: `The ${platform.triple} binary of ${main.name}`,
    license: main.license,
    repository: main.repository,
    main: file,
    files: [file],
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc ? { libc: [platform.libc] } : {}),
    engines: main.engines,
  }
}

/** @param {string} file @param {unknown} value */
function writeJson(file, value) {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

function main() {
  const file = path.join(root, 'package.json')
  const own = JSON.parse(fs.readFileSync(file, 'utf8'))
  for (const platform of PLATFORMS) {
    writeJson(path.join(root, 'npm', platform.triple, 'package.json'), manifest(platform, own))
  }
  if (process.argv.includes('--pin')) {
    own.optionalDependencies = Object.fromEntries(
      PLATFORMS.map((platform) => [`${own.name}-${platform.triple}`, own.version]),
    )
    writeJson(file, own)
  }
}

if (require.main === module) main()

module.exports = { PLATFORMS, BINARY, manifest }
