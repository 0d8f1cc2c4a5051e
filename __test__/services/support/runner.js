'use strict'

/**
 * Plays scenarios against one implementation, in a process of its own: `node runner.js <scenarios> <package> <out>`, where the
 * package is a directory with an `exports` map. Writes what every scenario showed as JSON.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { createRequire } = require('node:module')
const { install, calls, leftovers } = require('./fakes')

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {import('./fakes').Rule[]} [rules] what the programs answer
 * @property {string[]} [programs] the programs that are installed; all by default
 * @property {Record<string, string>} [home] files in the home folder
 * @property {Record<string, string>} [work] files in the working directory
 * @property {Record<string, string>} [env] further environment variables
 * @property {(the: Subject) => unknown} run what to do; its result is compared
 * @property {string} [because] why we deviate
 * @property {Partial<Seen>} [ours] what ours shows where we deviate by decision: these fields, and all others the same
 */

/**
 * @typedef {object} Subject
 * @property {any} services
 * @property {any} registry
 * @property {() => object} logger a logger whose lines are part of what is seen
 * @property {() => string[]} printed what has been printed to the console so far
 */

/**
 * @typedef {object} Seen
 * @property {unknown} [value]
 * @property {Record<string, unknown>} [error]
 * @property {import('./fakes').Call[]} calls
 * @property {string[]} log lines given to the scenario's logger
 * @property {string[]} console lines printed
 * @property {Record<string, string>} home files left in the home folder
 * @property {number} ms how long it took; in a deviation, the bound that ours keeps and upstream does not
 * @property {number} survivors started programs that still run a moment later
 */

/** @param {string} dir @param {Record<string, string>} files */
function put(dir, files) {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true })
    fs.writeFileSync(path.join(dir, name), text)
  }
}

/** @param {string} dir @param {string} [below] @returns {Record<string, string>} */
function take(dir, below = '') {
  /** @type {Record<string, string>} */
  const files = {}
  for (const entry of fs.readdirSync(path.join(dir, below), { withFileTypes: true })) {
    const name = path.join(below, entry.name)
    if (entry.isDirectory()) Object.assign(files, take(dir, name))
    else if (entry.isFile()) files[name] = fs.readFileSync(path.join(dir, name), 'utf8')
  }
  return files
}

/** What a thrown thing shows. @param {any} error */
function shown(error) {
  if (!(error instanceof Error)) return { thrown: String(error) }
  const { name, message } = error
  const { code, killed, signal, stdout, stderr } = /** @type {any} */ (error)
  return { name, message, code, killed, signal, stdout, stderr }
}

/** @param {unknown} value */
const asText = (value) => (value instanceof Error ? `Error<${value.message}>` : typeof value === 'string' ? value : JSON.stringify(value))

/** @param {number} pid */
function runs(pid) {
  try {
    // A zombie waits for its parent only: it runs no more.
    return !/^\d+ \(.*\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** @param {Scenario} scenario @param {any} services @param {any} registry @returns {Promise<Seen>} */
async function play(scenario, services, registry) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'registry-scenario-'))
  const home = path.join(dir, 'home')
  const work = path.join(dir, 'work')
  fs.mkdirSync(home)
  fs.mkdirSync(work)
  put(home, scenario.home ?? {})
  put(work, scenario.work ?? {})
  const before = { ...process.env }
  for (const name of ['GITHUB_TOKEN', 'AWS_REGION', 'AWS_ACCOUNT_ID']) delete process.env[name]
  Object.assign(process.env, { HOME: home, PATH: install(dir, scenario.rules ?? [], scenario.programs), ...scenario.env })
  process.chdir(work)

  /** @type {string[]} */
  const log = []
  /** @type {string[]} */
  const printed = []
  const real = { ...console }
  for (const level of /** @type {const} */ (['debug', 'log', 'info', 'warn', 'error'])) {
    console[level] = (...parts) => void printed.push(`${level} ${parts.map(asText).join(' ')}`)
  }
  const logger = () =>
    Object.fromEntries(
      ['debug', 'info', 'warn', 'error'].map((level) => [
        level,
        (/** @type {unknown[]} */ ...parts) => void log.push(`${level} ${parts.map(asText).join(' | ')}`),
      ]),
    )

  /** @type {Partial<Seen>} */
  const seen = {}
  const started = performance.now()
  try {
    seen.value = await scenario.run({ services, registry, logger, printed: () => printed })
  } catch (error) {
    seen.error = shown(error)
  }
  seen.ms = Math.round(performance.now() - started)
  Object.assign(console, real)
  const { hanging, children } = leftovers(dir)
  if (hanging.length > 0) await new Promise((resolve) => setTimeout(resolve, 300))
  seen.survivors = hanging.filter(runs).length
  for (const pid of [...hanging, ...children]) if (runs(pid)) process.kill(pid, 'SIGKILL')
  // One by one: a new `process.env` object would no longer reach the environment of the process.
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, before)
  process.chdir(os.tmpdir())
  const text = JSON.stringify({ ...seen, calls: calls(dir), log, console: printed, home: take(home) })
  fs.rmSync(dir, { recursive: true, force: true })
  // Folders are new each time: what is compared must not show it.
  return JSON.parse(text.replaceAll(dir, '{dir}'))
}

async function main() {
  const [, , file = '', subject = '', out = ''] = process.argv
  /** @type {Scenario[]} */
  const scenarios = require(path.resolve(file))
  const from = createRequire(path.join(path.resolve(subject), 'package.json'))
  const { name } = from('./package.json')
  const services = from(`${name}/services`)
  const registry = from(`${name}/registry`)
  const only = process.env.ONLY
  /** @type {Record<string, Seen>} */
  const seen = {}
  for (const scenario of scenarios) {
    if (only && !scenario.name.includes(only)) continue
    seen[scenario.name] = await play(scenario, services, registry)
  }
  fs.writeFileSync(out, JSON.stringify(seen, null, 1))
}

if (require.main === module) void main()

module.exports = { play }
