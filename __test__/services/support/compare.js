'use strict'

/** Plays scenarios against upstream's package and ours, each in a process of its own, and holds what they showed side by side. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawn } = require('node:child_process')

/** @typedef {import('./runner').Scenario} Scenario */
/** @typedef {import('./runner').Seen} Seen */

const ROOT = path.join(__dirname, '../../..')
const UPSTREAM = path.dirname(path.dirname(require.resolve('@vibe-kit/sdk')))
/** For all scenarios of a file, on a busy machine. */
const LIMIT_MS = 240_000
const FIELDS = /** @type {const} */ (['value', 'error', 'calls', 'home', 'log'])

/**
 * What must not make a difference: moments, names of temporary files, and the quotes upstream's shell needs around arguments.
 * @param {string} text
 */
const neutral = (text) =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '{moment}')
    .replaceAll(/config\.json\.[0-9a-f-]{36}\.tmp/g, 'config.json')
    .replaceAll(/Command failed: docker (images|rmi) .*?\\n/g, (command) => command.replaceAll('\\"', ''))

/** How often and when the settings are read is nobody's business. @param {string} entry */
const isOfInterest = (entry) => !/^debug (Loaded config|Config file not found|Saved config|Created config)/.test(entry)

/** @param {string} scenarios @param {string} subject @returns {Promise<Record<string, Seen>>} */
async function play(scenarios, subject) {
  const out = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'compare-')), 'seen.json')
  try {
    const child = spawn(process.execPath, [path.join(__dirname, 'runner.js'), scenarios, subject, out], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: LIMIT_MS - 5_000,
      killSignal: 'SIGKILL',
    })
    let trouble = ''
    child.stderr.on('data', (chunk) => (trouble += chunk))
    const code = await new Promise((resolve) => child.once('close', resolve))
    if (code !== 0) throw new Error(`The scenarios did not come to their end (${code}): ${trouble}`)
    /** @type {Record<string, Seen>} */
    const seen = JSON.parse(neutral(fs.readFileSync(out, 'utf8')))
    for (const one of Object.values(seen)) one.log = one.log.filter(isOfInterest)
    return seen
  } finally {
    fs.rmSync(path.dirname(out), { recursive: true, force: true })
  }
}

/** @param {string} scenarios path of a module that exports them */
async function playBoth(scenarios) {
  const [theirs, ours] = await Promise.all([play(scenarios, UPSTREAM), play(scenarios, ROOT)])
  return { theirs, ours }
}

/**
 * Declares one test per scenario.
 * @param {string} file path of a module that exports the scenarios
 */
function compare(file) {
  /** @type {Scenario[]} */
  const scenarios = require(file)
  /** @type {{ theirs: Record<string, Seen>, ours: Record<string, Seen> }} */
  let seen
  beforeAll(async () => {
    seen = await playBoth(file)
  }, LIMIT_MS)

  test('every scenario has a name of its own', () => {
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length)
  })

  const same = scenarios.filter(({ ours }) => !ours)
  test.each(same.map((scenario) => [scenario.name, scenario]))('same: %s', (name) => {
    const ours = seen.ours[name]
    for (const field of FIELDS) expect({ [field]: ours[field] }).toEqual({ [field]: seen.theirs[name][field] })
    expect(ours.console).toEqual([])
    expect(ours.survivors).toBe(0)
  })

  const different = scenarios.filter(({ ours }) => ours)
  test.each(different.map((scenario) => [`${scenario.name} (${scenario.because})`, scenario]))('ours: %s', (_, scenario) => {
    const { name, ours: expected = {} } = scenario
    const ours = seen.ours[name]
    const theirs = seen.theirs[name]
    for (const field of FIELDS) {
      if (field in expected) {
        expect(ours[field]).toEqual(expected[field])
        // A deviation upstream came to share is none any more.
        expect(theirs[field]).not.toEqual(expected[field])
      } else {
        expect({ [field]: ours[field] }).toEqual({ [field]: theirs[field] })
      }
    }
    if (expected.ms !== undefined) {
      expect(ours.ms).toBeLessThan(expected.ms)
      expect(theirs.ms).toBeGreaterThanOrEqual(expected.ms)
    }
    expect(ours.console).toEqual([])
    expect(ours.survivors).toBe(0)
  })

  test('upstream prints where we are silent', () => {
    expect(Object.values(seen.theirs).some((one) => one.console.length > 0)).toBe(true)
  })
}

module.exports = { compare }
