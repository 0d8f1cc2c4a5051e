'use strict'

/**
 * `npm run bench -- [filter …] [--quick] [--long] [--json FILE] [--only SUBJECT,…]`: the figures of this package beside those of
 * the TypeScript SDK and of plain `child_process`, in one run.
 *
 *   filter   parts of names of cases; all without one
 *   --quick  small sizes, few rounds: a first impression in two minutes
 *   --long   leaves nothing out, however long the others take
 *   --json   also writes everything, every sample included, to a file
 *   --only   subjects to run (ours, ts, linear, plain)
 *
 * Columns: medians of `ours`, `ts` (@vibe-kit/sdk), `linear` (the same with its buffer mended in JavaScript) and `plain`
 * (child_process, no sandbox); then how many times better ours is, paired round by round. Computing is measured in CPU
 * time, waiting in wall time. A missed bar is not an error; wrong content is.
 */

const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { runCase } = require('./lib/runner')
const { rows } = require('./lib/verdict')
const { render, header } = require('./lib/table')
const { machine, describe } = require('./lib/machine')

const CASES = path.join(__dirname, 'cases')

/** @param {string} text */
const say = (text) => process.stdout.write(`${text}\n`)

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string' },
    },
  })
  const names = fs
    .readdirSync(CASES)
    .map((file) => path.basename(file, '.js'))
    .filter((name) => positionals.length === 0 || positionals.some((part) => name.includes(part)))
    .sort()
  if (names.length === 0) throw new Error(`no case is called ${positionals.join(' or ')}; they are in ${CASES}`)

  const here = machine()
  say(`${describe(here)}\n\n${header()}`)
  const run = { quick: values.quick, long: values.long }
  const only = values.only?.split(',')
  const results = []
  let wrong = 0
  for (const name of names) {
    const definition = /** @type {import('./lib/case').Case} */ (require(path.join(CASES, `${name}.js`)))
    const start = performance.now()
    const subjects = definition.subjects.filter((subject) => !only || only.includes(subject))
    const outcome = await runCase(name, definition, run, subjects)
    const table = rows(name, definition, outcome)
    say(`\n${definition.title}  (${name}, ${((performance.now() - start) / 1000).toFixed(1)} s)`)
    say(render(table))
    if (definition.note) say(`     ${definition.note}`)
    for (const [subject, why] of Object.entries(outcome.failures)) say(`     ${subject}: ${why}`)
    for (const [subject, check] of Object.entries(outcome.checks)) {
      if (check === true) continue
      say(`     ${subject}, content: ${check}`)
      if (subject === 'ours') wrong += 1
    }
    if (outcome.failures.ours) wrong += 1
    results.push({ name, title: definition.title, note: definition.note, rows: table, ...outcome })
  }
  const asked = results.flatMap((result) => result.rows).filter((row) => row.met !== null)
  say(`\n${asked.filter((row) => row.met).length} of ${asked.length} bars met${wrong ? `; ${wrong} cases without a right result` : ''}`)
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ machine: here, run, results }, null, 2)}\n`)
  process.exitCode = wrong === 0 ? 0 : 1
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 2
})
