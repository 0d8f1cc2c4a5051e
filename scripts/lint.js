'use strict'

/** `npm run lint`: eslint, and the types of lib, scripts and the public declarations. */

const path = require('node:path')
const { ensureNodeModules } = require('./ensure')
const { run } = require('./run')

const root = path.join(__dirname, '..')

async function main() {
  await ensureNodeModules()
  for (const args of [['node_modules/eslint/bin/eslint.js', '.'], ['node_modules/typescript/bin/tsc', '--project', '.']]) {
    const { code } = await run(process.execPath, args, { cwd: root })
    if (code !== 0) process.exitCode = code
  }
}

main()
