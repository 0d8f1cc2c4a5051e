'use strict'

/** Doubles of services, and the same work for our providers and for the services' own clients. */

const { execFileSync, spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')
const { LINE } = require('./output')
const { meter, MIB } = require('./meter')
const { median } = require('./stats')

const ROOT = path.join(__dirname, '..', '..')

/** @typedef {{ run: (command: string, onText: (text: string) => void) => Promise<unknown>, end: () => Promise<unknown> }} Remote */

/**
 * @param {string} name @param {string[]} [options] further arguments of the double
 * @returns {Promise<{ url: string, tell: (what: string, body: object) => Promise<unknown>, end: () => void }>}
 */
async function startDouble(name, options = []) {
  execFileSync('cargo', ['build', '--quiet', '--profile', 'fast', '-p', 'vibekit-testkit', '--bin', 'cloud-double'], { cwd: ROOT, stdio: 'ignore' })
  const child = spawn(path.join(ROOT, 'target/fast/cloud-double'), [name, ...options], { stdio: ['pipe', 'pipe', 'ignore'] })
  const line = await new Promise((resolve) => readline.createInterface({ input: child.stdout }).once('line', resolve))
  const { url } = JSON.parse(line)
  const tell = (/** @type {string} */ what, /** @type {object} */ body) => fetch(`${url}/double/${what}`, { method: 'POST', body: JSON.stringify(body) })
  return { url, tell, end: () => child.stdin.end() }
}

/**
 * CPU time for a megabyte that is streamed, how long after it was written the first piece is there, and CPU time for making
 * a sandbox.
 * @param {() => Promise<Remote>} create @param {boolean} quick
 */
async function remoteFigures(create, quick) {
  const remote = await create()
  const megabytes = quick ? 16 : 64
  let characters = 0
  await remote.run('echo warm', () => {})
  const streaming = await meter(() =>
    remote.run(`yes '${LINE}' | head -c ${megabytes * MIB}`, (text) => {
      characters += text.length
    }),
  )
  if (characters < megabytes * MIB) throw new Error(`${characters} characters arrived`)
  const late = []
  for (let round = 0; round < (quick ? 5 : 15); round++) {
    let first = 0
    let written = ''
    await remote.run('sleep 0.2; date +%s%N', (text) => {
      first ||= Date.now()
      written += text
    })
    late.push(first - Number(written.trim()) / 1e6)
  }
  await remote.end()
  const making = []
  for (let round = 0; round < (quick ? 5 : 20); round++) {
    const before = process.cpuUsage()
    const one = await create()
    const { user, system } = process.cpuUsage(before)
    making.push((user + system) / 1000)
    await one.end()
  }
  return {
    cpuPerMb: streaming.cpuMs / megabytes,
    mbPerS: (megabytes * MIB) / 1e3 / streaming.wallMs,
    firstMs: median(late),
    createCpuMs: median(making),
  }
}

/** @type {import('./case').Figure[]} */
const REMOTE_FIGURES = [
  { label: 'CPU for a MiB of output', of: 'cpuPerMb', unit: 'ms', over: 'official', times: 5 },
  { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
  { label: 'first output after it was written', of: 'firstMs', unit: 'ms', atMost: 50 },
  { label: 'CPU for making a sandbox', of: 'createCpuMs', unit: 'ms', atMost: 5 },
]

module.exports = { startDouble, remoteFigures, REMOTE_FIGURES }
