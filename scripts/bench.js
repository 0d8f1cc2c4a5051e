'use strict'

/** `npm run bench [names]`: runs the benchmarks in `bench/`, all of them or those whose names are given, one after the other. */

const fs = require('node:fs')
const path = require('node:path')
const { ensureAddon, ensureNodeModules } = require('./ensure')
const { run, fail } = require('./run')

const folder = path.join(__dirname, '../bench')

async function main() {
  const names = process.argv.slice(2)
  const all = fs.readdirSync(folder).filter((file) => /^[^_.].*\.m?js$/.test(file))
  const chosen = names.length === 0 ? all : all.filter((file) => names.includes(path.parse(file).name))
  if (chosen.length === 0) fail(`There is no such benchmark. There are: ${all.map((file) => path.parse(file).name).join(', ')}`)
  await ensureNodeModules()
  await ensureAddon()
  for (const file of chosen) {
    process.stdout.write(`\n=== ${file}\n`)
    const { code } = await run(process.execPath, ['--expose-gc', path.join(folder, file)])
    if (code !== 0) process.exitCode = code
  }
}

main()
