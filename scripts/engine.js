'use strict'

/** A real container engine for tests, started by testing/engine.sh and ended with them. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { run, fail } = require('./run')

const script = path.join(__dirname, '../testing/engine.sh')

/** @returns {Promise<{ address: string, stop: () => Promise<void> }>} the address is one for DOCKER_HOST */
async function startEngine() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-engine-'))
  const stop = async () => void (await run(script, ['stop', folder]))
  const { code, output } = await run(script, ['start', folder], { keep: 'stdout', quiet: true })
  if (code !== 0) {
    await stop()
    fail('Without a container engine these tests show nothing.')
  }
  return { address: output.trim(), stop }
}

module.exports = { startEngine }
