'use strict'

/**
 * `node __test__/contract/compare.js D7`: runs the scenarios whose names begin like that over the published package and over
 * this one, each in a process of its own, and prints what was observed, side by side.
 */

const path = require('node:path')
const { execFileSync } = require('node:child_process')

const [prefix] = process.argv.slice(2)
const observe = (name) => JSON.parse(execFileSync(process.execPath, [path.join(__dirname, 'run.js'), name], {
  cwd: path.join(__dirname, '../..'), encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'],
}))
const [theirs, ours] = [observe('@vibe-kit/sdk'), observe('vibekit-native')]
const names = Object.keys(ours).filter((name) => prefix && (name === prefix || name.startsWith(`${prefix} `) || name.startsWith(`${prefix}:`)))
if (names.length === 0) {
  process.stderr.write('Usage: node __test__/contract/compare.js <number of a deviation or group of scenarios, like D7 or branch>\n')
  process.exit(2)
}
for (const name of names) {
  process.stdout.write(`\n${name}\n  theirs ${JSON.stringify(theirs[name])}\n  ours   ${JSON.stringify(ours[name])}\n`)
}
