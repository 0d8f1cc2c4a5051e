'use strict'

/**
 * `npm run conformance`: runs the conformance suite for every provider that can be run here, prints the table of providers
 * and checks, and writes it to docs/conformance.md.
 *
 *   --check           writes nothing, and fails if the document is not what the run gives or a column was not run
 *   --reports FOLDER  runs nothing, and takes the reports of a run that had VIBEKIT_CONFORMANCE_DIR=FOLDER set, such as
 *                     `npm test` and `npm run test:providers`
 *
 * A provider that cannot be run here keeps its column of the last run.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { ensureAddon, ensureNodeModules } = require('./ensure')
const { startEngine } = require('./engine')
const { run, fail } = require('./run')

const root = path.join(__dirname, '..')
const document = path.join(root, 'docs/conformance.md')
const BEGIN = '<!-- table: written by npm run conformance -->'
const END = '<!-- end of table -->'

/**
 * @typedef {{ check: string, what: string, outcome: 'passed' | 'unsupported' | 'failed', why?: string, ms: number }} Row
 * @typedef {{ provider: string, rows: Row[] }} Report
 * @typedef {Map<string, Map<string, string>>} Table cells by check, by provider
 */

/**
 * What runs suites: each leaves one report per provider in the folder it is given.
 * @type {Array<(env: NodeJS.ProcessEnv) => Promise<{ code: number }>>}
 */
const SUITES = [
  (env) => run('cargo', ['test', '--quiet', '--workspace', '--exclude', 'vibekit-native', '--test', 'conformance*'], { cwd: root, env, keep: 'stdout', quiet: true }),
  docker,
]

/** Containers, where an engine can be started. @param {NodeJS.ProcessEnv} env */
async function docker(env) {
  if (process.getuid?.() !== 0) return { code: 0 }
  const engine = await startEngine()
  try {
    const args = ['test', '--quiet', '-p', 'vibekit-providers', '--test', 'docker', 'conformance', '--', '--ignored']
    return await run('cargo', args, { cwd: root, env: { ...env, VIBEKIT_TEST_ENGINE: engine.address }, keep: 'stdout', quiet: true })
  } finally {
    await engine.stop()
  }
}

/** @param {string} folder @returns {Report[]} */
const read = (folder) => fs.readdirSync(folder).sort().map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')))

/** Runs all suites. @returns {Promise<Report[]>} */
async function trial() {
  await ensureNodeModules()
  await ensureAddon()
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-conformance-'))
  try {
    for (const suite of SUITES) await suite({ ...process.env, VIBEKIT_CONFORMANCE_DIR: folder })
    return read(folder)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

async function main() {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, reports: { type: 'string' } } })
  const reports = values.reports === undefined ? await trial() : read(values.reports)
  if (reports.length === 0) fail('No provider gave a report.')

  const text = fs.readFileSync(document, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const [former, after] = rest.split(END)
  const table = merged(parse(former), reports)
  const columns = new Set([...table.values()].flatMap((cells) => [...cells.keys()]))
  const stale = [...columns].filter((column) => !reports.some(({ provider }) => provider === column))
  if (stale.length > 0) process.stdout.write(`\nNot run, the column is that of an earlier run: ${stale.join(', ')}\n`)
  process.stdout.write(`\n${render(table)}\n`)
  const now = `${before}${BEGIN}\n\n${render(table)}\n${END}${after}`
  if (!values.check) fs.writeFileSync(document, now)
  else if (stale.length > 0) fail('A column that was not run shows nothing.')
  else if (now !== text) fail('docs/conformance.md is not what this run gives. Run `npm run conformance` and commit it.')

  const failures = reports.flatMap(({ provider, rows }) =>
    rows.filter(({ outcome }) => outcome === 'failed').map(({ check, why }) => `${provider}, ${check}: ${why}`),
  )
  if (failures.length > 0) fail(`\n${failures.join('\n')}`)
}

/** @param {Table} former @param {Report[]} reports @returns {Table} */
function merged(former, reports) {
  /** @type {Table} */
  const table = new Map()
  const ran = new Set(reports.map(({ provider }) => provider))
  for (const { provider, rows } of reports) {
    for (const { check, what, outcome, why } of rows) {
      const key = `\`${check}\` ${what}`
      const cells = table.get(key) ?? new Map()
      cells.set(provider, outcome === 'passed' ? 'yes' : outcome === 'failed' ? '**fails**' : (why ?? '').replace('declared: ', ''))
      table.set(key, cells)
    }
  }
  for (const [check, cells] of former) {
    for (const [provider, cell] of cells) {
      if (!ran.has(provider) && table.has(check)) table.get(check)?.set(provider, cell)
    }
  }
  return table
}

/** @param {string} text a Markdown table @returns {Table} */
function parse(text) {
  const rows = text.split('\n').filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
  const [head = [], , ...body] = rows
  return new Map(body.map(([check, ...cells]) => [check, new Map(cells.map((cell, at) => [head[at + 1], cell]))]))
}

/** @param {Table} table */
function render(table) {
  const providers = [...new Set([...table.values()].flatMap((cells) => [...cells.keys()]))].sort()
  const lines = [['check', ...providers], ['---', ...providers.map(() => '---')]]
  for (const [check, cells] of table) lines.push([check, ...providers.map((provider) => cells.get(provider) ?? 'not run')])
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

main()
