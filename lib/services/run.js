'use strict'

/**
 * Starts the programs these modules drive. Arguments go as they are, never through a shell, so nothing in them can become a
 * command; a secret goes by stdin, never among the arguments, where every user of the machine could read it; without one,
 * stdin is closed, so that a program that would ask a question fails instead of waiting. Every call has a limit, and settles
 * after it even if the program does not end or leaves something behind that holds its output open.
 */

const { spawn } = require('node:child_process')

/** How long a call may take, in milliseconds. */
const LIMITS = {
  /** Asking who is logged in. */
  login: 5_000,
  /** Pulling a tiny image to see whether the credentials work. */
  trial: 10_000,
  /** What only concerns this machine. */
  query: 30_000,
  /** Logging in, and calls of a cloud's API. */
  network: 60_000,
  build: 600_000,
  /** Pulling and pushing: images may be large and lines slow. Upstream waits for ever. */
  transfer: 3_600_000,
}

/** How long a program gets to end after SIGTERM, and its output to close after its end. */
const GRACE_MS = 1_000
/** The end of its output says why a program failed; builds print more than one wants to hold. */
const TAIL_BYTES = 1024 * 1024
/** Bound of what is read as a result. */
const WHOLE_BYTES = 16 * 1024 * 1024

/**
 * @typedef {object} Call
 * @property {number} timeoutMs one of `LIMITS`
 * @property {string} [secret] goes to stdin, and is taken out of errors
 * @property {boolean} [whole] the output is the result: more than 16 MiB of it is a failure. Otherwise the last MiB is kept
 */

/**
 * What the error of a failed call carries, as errors of `child_process.exec` do.
 * @typedef {object} Facts
 * @property {number | null} code 127 if the program is not there
 * @property {boolean} killed whether it took too long or printed too much
 * @property {NodeJS.Signals | null} signal
 * @property {string} cmd
 * @property {string} stdout
 * @property {string} stderr
 */

/** What a stream of a program says, within bounds. */
class Output {
  /** @type {Buffer[]} */
  #chunks = []
  #size = 0
  #limit

  /** @param {number} limit in bytes; beyond it, the oldest output gives way */
  constructor(limit) {
    this.#limit = limit
  }

  /** @param {Buffer} chunk @returns {boolean} whether all of it is still there */
  add(chunk) {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size <= this.#limit) return true
    while (this.#size - this.#chunks[0].length >= this.#limit) this.#size -= /** @type {Buffer} */ (this.#chunks.shift()).length
    return false
  }

  text() {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString()
  }
}

/** @param {string} text */
const line = (text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)

/**
 * Runs a program to its end.
 * @param {string} program its name, found on PATH
 * @param {string[]} args
 * @param {Call} call
 * @returns {Promise<{ stdout: string, stderr: string }>} rejects with `Command failed: …` and `Facts` on any end but exit code 0
 */
function run(program, args, { timeoutMs, secret, whole = false }) {
  return new Promise((resolve, reject) => {
    const stdout = new Output(whole ? WHOLE_BYTES : TAIL_BYTES)
    const stderr = new Output(TAIL_BYTES)
    /** @type {Set<NodeJS.Timeout>} */
    const timers = new Set()
    /** @param {() => void} then @param {number} ms */
    const after = (then, ms) => void timers.add(setTimeout(then, ms))
    /** Why it was made to end. @type {string | undefined} */
    let stopped

    // The environment is named because under Jest the one in sight is not the one a child gets by default.
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: process.env, windowsHide: true })
    // Without a free file descriptor there are no streams.
    const release = () => child.stdio?.forEach((stream) => stream?.destroy())

    /** @param {number | null} code @param {NodeJS.Signals | null} signal @param {string} [trouble] why it could not be started */
    const settle = (code, signal, trouble) => {
      timers.forEach(clearTimeout)
      release()
      child.unref()
      const output = { stdout: stdout.text(), stderr: stderr.text() }
      const problem = stopped ?? trouble
      if (code === 0 && problem === undefined) return resolve(output)
      const mask = (/** @type {string} */ text) => (secret ? text.replaceAll(secret, '***') : text)
      const cmd = [program, ...args].join(' ')
      const said = problem === undefined ? output.stderr : line(output.stderr) + problem
      /** @type {Facts} */
      const facts = {
        code, killed: stopped !== undefined, signal, cmd, stdout: mask(output.stdout), stderr: mask(output.stderr),
      }
      reject(Object.assign(new Error(mask(`Command failed: ${cmd}\n${said}`)), facts))
    }

    /** @param {string} why */
    const stop = (why) => {
      if (stopped !== undefined) return
      stopped = why
      child.kill()
      after(() => {
        child.kill('SIGKILL')
        after(() => settle(null, 'SIGKILL'), GRACE_MS)
      }, GRACE_MS)
    }

    child.once('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code === 'ENOENT') settle(127, null, `${program}: not found. Install it, or add its folder to PATH.`)
      else settle(null, null, error.message)
    })
    child.once('close', settle)
    // What the program leaves behind may hold its output open; what has come a moment after its end is all that is waited for.
    // An immediate comes after what can be read was read: in a process that was busy all that moment, nothing is lost.
    child.once('exit', () => after(() => setImmediate(release), GRACE_MS))
    child.stdout?.on('data', (chunk) => {
      if (!stdout.add(chunk) && whole) stop(`printed more than ${WHOLE_BYTES / 1024 ** 2} MiB`)
    })
    child.stderr?.on('data', (chunk) => stderr.add(chunk))
    // How it went is told by the end of the program, also when it ends without reading.
    child.stdio?.forEach((stream) => stream?.on('error', () => {}))
    child.stdin?.end(secret ?? '')
    after(() => stop(`timed out after ${timeoutMs / 1000} s`), timeoutMs)
  })
}

module.exports = { run, LIMITS }
