'use strict'

/**
 * Finds the native addon. In this order: the file VIBEKIT_NATIVE_PATH names, a binary beside the package (a checkout),
 * the platform package. When none of them works, one error says what was tried, why it failed and what to do.
 */

const fs = require('node:fs')
const path = require('node:path')

/** @typedef {typeof import('./native')} Native */

/** @type {Native | undefined} */
let loaded

/** The addon. Loaded at the first call: importing the package stays cheap and free of side effects. */
function native() {
  return (loaded ??= load())
}

/** True on Linux systems whose C library is musl. @returns {boolean} */
function isMusl() {
  try {
    // A readable script on glibc systems, the loader itself on musl ones; both name their library.
    return fs.readFileSync('/usr/bin/ldd', 'latin1').includes('musl')
  } catch {
    const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report?.getReport() ?? {})
    return report.header?.glibcVersionRuntime === undefined
  }
}

/** Name of this platform as in the names of the binaries. @returns {string} */
function triple() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`
}

/** @returns {Native} */
function load() {
  const { name, version } = require('../package.json')
  const chosen = process.env.VIBEKIT_NATIVE_PATH
  const host = triple()
  const candidates = chosen
    ? [path.resolve(chosen)]
    : [path.join(__dirname, '..', `${name}.${host}.node`), `${name}-${host}`]

  /** @type {string[]} */
  const tried = []
  /** @type {unknown} */
  let cause
  for (const candidate of candidates) {
    try {
      const addon = /** @type {Native} */ (require(candidate))
      if (addon.version() === version) return addon
      throw new Error(`it is version ${addon.version()}, this package is ${version}`)
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
      const missing = /** @type {{ code?: unknown }} */ (error)?.code === 'MODULE_NOT_FOUND'
      tried.push(`  ${candidate}: ${missing ? 'not there' : reason}`)
      // A binary that is there and does not load tells more than one that is missing.
      if (cause === undefined || !missing) cause = error
    }
  }
  const remedy = chosen
    ? 'Let VIBEKIT_NATIVE_PATH name a binary of this version, or unset it.'
    : `Run \`npm install ${name}-${host}@${version}\`; on a platform without such a package build from source ` +
      '(`npm run build` in a checkout) and let VIBEKIT_NATIVE_PATH name the resulting .node file.'
  const error = new Error(
    `${name} has no working native binary for ${host} (Node.js ${process.version}). Tried:\n${tried.join('\n')}\n${remedy}`,
    { cause },
  )
  throw Object.defineProperty(error, 'code', { value: 'NATIVE_ADDON_UNAVAILABLE', configurable: true, writable: true })
}

module.exports = { native, triple }
