'use strict'

/** Doubles of services, as processes beside the tests. */

const { execFileSync, spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')

const root = path.join(__dirname, '../../..')

/** Ended when the test file is. */
const running = []

afterAll(() => {
  for (const child of running.splice(0)) child.stdin.end()
})

/**
 * Starts a double; `env` may put programs on its sandboxes' `PATH`, `options` are further arguments of the program
 * (crates/vibekit-testkit/src/bin/cloud-double.rs).
 */
async function startDouble(name, env = {}, options = []) {
  // Cargo does nothing if it is up to date, which it is after the Rust tests.
  execFileSync('cargo', ['build', '--quiet', '-p', 'vibekit-testkit', '--bin', 'cloud-double'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const child = spawn(path.join(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/cloud-double'), [name, ...options], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  running.push(child)
  const [line] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the double ended with code ${code}`)))
    readline.createInterface({ input: child.stdout }).once('line', (text) => resolve([text]))
  })
  const { url } = JSON.parse(line)
  const tell = async (what, body) => {
    const answer = await fetch(`${url}/double/${what}`, { method: 'POST', body: JSON.stringify(body ?? {}) })
    return answer.json()
  }
  return {
    url,
    settings: (body) => tell('settings', body),
    refuse: (body) => tell('refuse', body),
    cut: (frames) => tell('cut', { frames }),
    trouble: (trouble) => tell('trouble', { trouble }),
    state: (id, state) => tell('state', { id, state }),
    leftovers: () => tell('leftovers'),
    /** The requests since the last call. */
    requests: () => tell('requests'),
    /** What only one double understands. */
    tell,
  }
}

module.exports = { startDouble }
