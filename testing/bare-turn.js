'use strict'

/**
 * Runs one turn of a real agent with no sandbox around it, exactly as the core would have it run, for recordings and
 * for finding out what a new version of an agent does. The core's part comes from the example `invocation` of
 * `vibekit-core`, built on first use unless `VIBEKIT_INVOCATION` names it.
 */

const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const repository = path.join(__dirname, '..')

/** @type {string | undefined} */
let example = process.env.VIBEKIT_INVOCATION

/** @param {object} input @param {string[]} [args] @param {string} [rest] */
function core(input, args = [], rest = '') {
  if (!example) {
    const build = ['build', '-q', '-p', 'vibekit-core', '--example', 'invocation', '--message-format=json']
    const lines = execFileSync('cargo', build, { cwd: repository, encoding: 'utf8', maxBuffer: 1 << 28 }).trim().split('\n')
    example = lines.map((line) => JSON.parse(line)).findLast((message) => message.executable)?.executable
  }
  return execFileSync(/** @type {string} */ (example), args, {
    input: `${JSON.stringify(input)}\n${rest}`,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
}

/**
 * @param {object} options
 * @param {object} options.config the agent's configuration
 * @param {object} options.turn `prompt`, `mode`, `conversation` …
 * @param {string} options.home folder for `HOME`
 * @param {string} options.cwd folder to work in
 * @param {string} options.bin folder with the agents' programs
 * @param {number} [options.uid] run as this user
 * @param {number} [options.timeout] milliseconds
 * @param {NodeJS.Signals} [options.signal] sent after `timeout`; default KILL
 */
async function bareTurn({ config, turn, home, cwd, bin, uid, timeout = 120_000, signal = 'SIGKILL' }) {
  const input = { config, turn: { workingDirectory: cwd, ...turn } }
  const invocation = JSON.parse(core(input))
  for (const [name, content] of invocation.files) {
    const file = name.replace(/^\$HOME/, home)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, Buffer.from(content))
    for (let folder = path.dirname(file); uid && folder.length > home.length; folder = path.dirname(folder)) fs.chownSync(folder, uid, uid)
  }
  // A file, because Node's pipes are sockets, which cannot be opened again as /dev/stdin.
  const prompt = path.join(home, `.prompt-${process.pid}`)
  fs.writeFileSync(prompt, Buffer.from(invocation.stdin))
  if (uid) fs.chownSync(prompt, uid, uid)
  const stdin = fs.openSync(prompt, 'r')
  const started = Date.now()
  const child = spawn(invocation.program, invocation.args, {
    cwd,
    uid,
    gid: uid,
    detached: true,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { PATH: `${bin}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8', ...Object.fromEntries(invocation.env) },
  })
  fs.closeSync(stdin)
  /** @type {Buffer[]} */
  const stdout = []
  /** @type {Buffer[]} */
  const stderr = []
  child.stdout?.on('data', (chunk) => stdout.push(chunk))
  child.stderr?.on('data', (chunk) => stderr.push(chunk))
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    if (child.pid) process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal)
  }, timeout)
  const [code, died] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (...end) => resolve(end))
  })
  clearTimeout(timer)
  fs.rmSync(prompt)
  if (child.pid) try { process.kill(-child.pid, 'SIGKILL') } catch { /* nothing was left */ }

  const output = Buffer.concat(stdout).toString('utf8')
  const errors = Buffer.concat(stderr).toString('utf8')
  const signals = require('node:os').constants.signals
  const number = died ? signals[/** @type {NodeJS.Signals} */ (died)] : undefined
  const exit = { code: code ?? 128 + (number ?? 0) }
  const ended = { code: exit.code, ...(number ? { signal: number } : {}), timedOut }
  const decoded = decode({ ...input, exit: ended, stderr: errors.slice(-4096) }, output)
  return { invocation, exit: ended, stdout: output, stderr: errors, ms: Date.now() - started, ...decoded }
}

/**
 * The events an agent's output means, and its ending.
 * @param {object} input `config`, `turn`, `exit` and `stderr`
 * @param {string} output
 */
function decode(input, output) {
  const events = core(input, ['--decode'], output).trim().split('\n').map((line) => JSON.parse(line))
  const ending = events.pop()
  return { events, ending }
}

module.exports = { bareTurn, decode }
