'use strict'

/**
 * `npm run pack:local [-- <folder>]`: a tarball as a release would publish it, plus the binary of this platform, which a
 * release has in a package of its own. It can be installed and tested without any registry.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { ensureAddon } = require('./ensure')
const { run, fail } = require('./run')
const { BINARY } = require('./platforms')
const { triple } = require('../lib/loader')

const root = path.join(__dirname, '..')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/**
 * @param {string} folder where the tarball goes
 * @returns {Promise<string>} its path
 */
async function pack(folder) {
  const binary = `${BINARY}.${triple()}.node`
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-pack-'))
  try {
    for (const file of await published()) {
      fs.mkdirSync(path.dirname(path.join(stage, file)), { recursive: true })
      fs.copyFileSync(path.join(root, file), path.join(stage, file))
    }
    fs.copyFileSync(process.env.VIBEKIT_NATIVE_PATH ?? path.join(root, binary), path.join(stage, binary))
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
    manifest.files.push(binary)
    delete manifest.scripts
    delete manifest.devDependencies
    fs.writeFileSync(path.join(stage, 'package.json'), JSON.stringify(manifest, null, 2))
    const { code, output } = await run(npm, ['pack', '--json', '--pack-destination', folder], { cwd: stage, keep: 'stdout', quiet: true })
    if (code !== 0) fail(`npm pack ended with code ${code}.`)
    return path.join(folder, JSON.parse(output)[0].filename)
  } finally {
    fs.rmSync(stage, { recursive: true, force: true })
  }
}

/** The files a release publishes. @returns {Promise<string[]>} */
async function published() {
  const { code, output } = await run(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, keep: 'stdout', quiet: true })
  if (code !== 0) fail(`npm pack --dry-run ended with code ${code}.`)
  return JSON.parse(output)[0].files.map((/** @type {{ path: string }} */ file) => file.path)
}

if (require.main === module) {
  ensureAddon()
    .then(() => pack(path.resolve(process.argv[2] ?? root)))
    .then((file) => process.stdout.write(`${file}\n`))
}

module.exports = { pack, published }
