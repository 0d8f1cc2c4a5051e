'use strict'

/**
 * E2B on its own, with the names and the ways of upstream's package `@vibe-kit/e2b`: unlike every other provider, a command
 * that does not succeed rejects. Over `VibeKit` this file is not used; there an exit code is an answer.
 */

const { set } = require('./errors')

/** Names of signals as the service writes them; others are told by number. @type {Record<number, string>} */
const SIGNALS = { 1: 'hangup', 2: 'interrupt', 6: 'aborted', 9: 'killed', 11: 'segmentation fault', 15: 'terminated' }

/** Replaces `commands.run`. @template {{ commands: { run: Function } }} T @param {T} sandbox @returns {T} */
function withRejections(sandbox) {
  const run = sandbox.commands.run.bind(sandbox.commands)
  /** @param {unknown} command @param {any} [options] */
  const rejecting = async (command, options) => {
    const result = await run(command, options)
    if (options?.background) return { exitCode: 0, stdout: 'Background command started successfully', stderr: '' }
    if (result.timedOut) throw timeoutError(result, options?.timeoutMs)
    if (result.exitCode !== 0) throw exitError(result)
    return result
  }
  Object.defineProperty(sandbox.commands, 'run', { value: rejecting, configurable: true, writable: true, enumerable: false })
  return sandbox
}

/** @param {any} result */
function exitError(result) {
  const { exitCode, signal } = result
  const message = signal === undefined ? `exit status ${exitCode}` : `signal: ${SIGNALS[signal] ?? `signal ${signal}`}`
  return attach(new Error(message), 'CommandExitError', { ...result, error: message })
}

/** @param {any} result @param {number} limit milliseconds */
function timeoutError(result, limit) {
  const error = new Error(`[deadline_exceeded] the command ran longer than its limit of ${limit} ms`)
  return attach(error, 'TimeoutError', { ...result, code: 'TIMEOUT', limit, retryable: false })
}

/** @param {Error} error @param {string} name @param {Record<string, unknown>} fields */
function attach(error, name, fields) {
  set(error, 'name', name)
  for (const [key, value] of Object.entries(fields)) set(error, key, value)
  return error
}

module.exports = { withRejections }
