'use strict'

/**
 * `npm test`: installs what is missing, builds the addon, runs every test, and ends with one line of counts.
 * `--only rust|jest|agents|package|unprivileged|providers` runs a part; further arguments go to that part's runner.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { ensureAddon, ensureNodeModules } = require('./ensure')
const { startEngine } = require('./engine')
const { run } = require('./run')

const root = path.join(__dirname, '..')

/** @typedef {{ name: string, passed: number, failed: number, seconds: number }} Tally */

/** @type {Record<string, Array<(more: string[]) => Promise<Tally | Tally[]>>>} */
const PARTS = {
  rust: [rust],
  jest: [
    async (more) => {
      await buildDoubles()
      return jest('jest', 'jest', more)
    },
    // Both majors evaluate packages in realms of their own, differently.
    (more) => jest('jest 29, realms', 'jest-29', ['__test__/realm', ...more]),
  ],
  agents: [(more) => jest('agents', 'jest', ['__test__/agents', ...more], { VIBEKIT_TEST_AGENTS: '1' })],
  package: [(more) => jest('package', 'jest', ['__test__/package', ...more])],
  unprivileged: [unprivileged],
  providers: [faults, providers],
}

/** Who runs the tests of the sandbox where they must not need root. */
const NOBODY = 65_534

/**
 * The Rust tests.
 * @param {string[]} more
 * @returns {Promise<Tally>}
 */
async function rust(more) {
  const nextest = await run('cargo', ['nextest', '--version'], { keep: 'both', quiet: true }).then(
    ({ code }) => code === 0,
    () => false,
  )
  const args = [...(nextest ? ['nextest', 'run', '--no-fail-fast'] : ['test', '--no-fail-fast']), '--workspace', ...more]
  return tally('rust', () => run('cargo', args, { cwd: root, keep: 'both' }), nextest ? nextestCounts : cargoCounts)
}

/** Builds the program of the doubles, so that no test's time goes into that. */
async function buildDoubles() {
  await run('cargo', ['build', '-p', 'vibekit-testkit', '--bin', 'cloud-double'], { cwd: root })
}

/** @param {string} output @returns {[number, number]} */
function nextestCounts(output) {
  const summary = plainText(output).match(/^\s*Summary .*$/m)?.[0] ?? ''
  return [numbers(summary, /(\d+) passed/g), numbers(summary, /(\d+) (?:failed|timed out|exec failed)/g)]
}

/** @param {string} output @returns {[number, number]} */
function cargoCounts(output) {
  const results = plainText(output).match(/^test result: .*$/gm)?.join('\n') ?? ''
  return [numbers(results, /(\d+) passed/g), numbers(results, /(\d+) failed/g)]
}

/** @param {string} text @param {RegExp} pattern */
const numbers = (text, pattern) => [...text.matchAll(pattern)].reduce((sum, [, number]) => sum + Number(number), 0)

/** Without colours. @param {string} text */
// eslint-disable-next-line no-control-regex
const plainText = (text) => text.replace(/\x1b\[[0-9;]*m/g, '')

/**
 * E2B's conversations, broken at every byte; `npm test` plays a fifth of them.
 * @param {string[]} more
 * @returns {Promise<Tally>}
 */
async function faults(more) {
  const args = ['test', '-p', 'vibekit-providers', '--test', 'e2b', '--', 'broken', ...more]
  const env = { ...process.env, VIBEKIT_FAULT_CASES: '10000' }
  return tally('faults', () => run('cargo', args, { cwd: root, env, keep: 'both' }), cargoCounts)
}

/**
 * The tests of providers that need the official clients or a service: a container engine, started for them (root, Debian's
 * docker.io).
 * @param {string[]} more
 * @returns {Promise<Tally[]>}
 */
async function providers(more) {
  await buildDoubles()
  const engine = await startEngine()
  try {
    const env = { VIBEKIT_TEST_PROVIDERS: '1', VIBEKIT_TEST_ENGINE: engine.address }
    const args = ['test', '-p', 'vibekit-providers', '--test', 'docker', '--', '--ignored', '--test-threads', '1', ...more]
    return [
      await jest('providers', 'jest', ['__test__/providers', ...more], env),
      await tally('docker', () => run('cargo', args, { cwd: root, env: { ...process.env, ...env }, keep: 'both' }), cargoCounts),
    ]
  } finally {
    await engine.stop()
  }
}

/**
 * The tests of the sandbox as a user without any rights.
 * @param {string[]} more
 * @returns {Promise<Tally>}
 */
async function unprivileged(more) {
  const tests = ['__test__/local', '__test__/exit', '__test__/seed', ...more]
  if (process.getuid?.() !== 0) return jest('unprivileged', 'jest', tests)
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-nobody-'))
  fs.chownSync(home, NOBODY, NOBODY)
  const become = ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--inh-caps=-all', '--bounding-set=-all']
  try {
    return await jest('unprivileged', 'jest', ['--cacheDirectory', path.join(home, 'cache'), ...tests], { HOME: home, TMPDIR: home }, become)
  } finally {
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/**
 * @param {string} name
 * @param {string} runner package of the Jest to use
 * @param {string[]} more
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string[]} [through] a program to start it with, and its arguments
 * @returns {Promise<Tally>}
 */
async function jest(name, runner, more, env = {}, through = []) {
  const folder = fs.mkdtempSync(path.join(env.TMPDIR ?? os.tmpdir(), 'vibekit-jest-'))
  if (through.length > 0) fs.chownSync(folder, NOBODY, NOBODY)
  const report = path.join(folder, 'report.json')
  const bin = path.join(path.dirname(require.resolve(`${runner}/package.json`)), 'bin/jest.js')
  const args = [bin, '--detectOpenHandles', '--json', '--outputFile', report, ...more]
  try {
    // With --json the report goes to stdout as well; what is for humans is on stderr.
    const [program, ...rest] = [...through, process.execPath, ...args]
    const work = () => run(program, rest, { cwd: root, env: { ...process.env, ...env }, keep: 'stdout', quiet: true })
    return await tally(name, work, () => {
      if (!fs.existsSync(report)) return [0, 1]
      const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(fs.readFileSync(report, 'utf8'))
      return [numPassedTests, numFailedTests + numRuntimeErrorTestSuites]
    })
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Runs a part. One that reports no failure and does not succeed counts as one failure.
 * @param {string} name
 * @param {() => Promise<{ code: number, output: string }>} work
 * @param {(output: string) => [number, number]} counts
 * @returns {Promise<Tally>}
 */
async function tally(name, work, counts) {
  process.stdout.write(`\n=== ${name}\n`)
  const start = Date.now()
  const { code, output } = await work()
  const [passed, failed] = counts(output)
  return { name, passed, failed: code !== 0 && failed === 0 ? 1 : failed, seconds: (Date.now() - start) / 1000 }
}

async function main() {
  const [option, part, ...more] = process.argv.slice(2)
  if (option !== undefined && (option !== '--only' || !PARTS[part])) {
    process.stderr.write(`Usage: node scripts/test.js [--only ${Object.keys(PARTS).join('|')} [arguments of the runner]]\n`)
    process.exit(2)
  }
  await ensureNodeModules()
  await ensureAddon()
  /** @type {Tally[]} */
  const tallies = []
  for (const work of part ? PARTS[part] : [...PARTS.rust, ...PARTS.jest]) tallies.push(...[await work(more)].flat())

  process.stdout.write('\n')
  for (const { name, passed, failed, seconds } of tallies) {
    process.stdout.write(`${name.padEnd(16)} ${passed} passed, ${failed} failed (${seconds.toFixed(1)} s)\n`)
  }
  const passed = tallies.reduce((sum, one) => sum + one.passed, 0)
  const failed = tallies.reduce((sum, one) => sum + one.failed, 0)
  // Nothing run is nothing shown.
  if (failed > 0 || passed === 0) process.exitCode = 1
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
}

main()
