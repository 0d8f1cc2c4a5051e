'use strict'

/** `npm run demo`: from a fresh clone to a running agent. Arguments go to the demo. */

const path = require('node:path')
const { ensureAddon } = require('./ensure')
const { run } = require('./run')

async function main() {
  await ensureAddon()
  const demo = path.join(__dirname, '../examples/demo.js')
  const { code } = await run(process.execPath, [demo, ...process.argv.slice(2)])
  process.exitCode = code
}

main()
