'use strict'

/** `npm run bench -- [filter …] [--quick] [--json FILE]`: installs and builds what is missing, then runs `bench/run.js`, which says more. */

const path = require('node:path')
const { ensureAddon, ensureNodeModules } = require('./ensure')
const { run } = require('./run')

async function main() {
  await ensureNodeModules()
  await ensureAddon()
  const { code } = await run(process.execPath, [path.join(__dirname, '../bench/run.js'), ...process.argv.slice(2)])
  process.exitCode = code
}

main()
