'use strict'

/**
 * One operation of the native side: frames in, one outcome out. Everything that happened is delivered before the promise
 * settles, because events and outcome come through the same ordered channel.
 */

const { revive, set, messageOf } = require('./errors')
const { Requests } = require('./http')

/** Kinds of frames, as `native.d.ts` numbers them. */
const DONE = 0
const FAIL = 1
const STDOUT = 2
const STDERR = 3
const UPDATE = 4
const ERROR = 5
const EVENT = 6
const SESSION = 7
const RESULT_STDOUT = 8
const RESULT_STDERR = 9
const OBJECT = 10
const REQUEST = 11

/**
 * @typedef {import('./native').Failure} Failure
 * @typedef {{ value: unknown } | { failure: Failure }} Outcome
 * @typedef {(kind: number, text: string) => void} Deliver
 */

/**
 * Runs one native operation.
 * @param {(onFrames: (frames: Array<number | string>) => void) => number} begin starts it and gives its id
 * @param {Deliver} deliver gets every frame but the last
 * @param {AbortSignal} [signal]
 * @param {(operation: number) => void} [cancel]
 * @param {(failure: Failure) => { value: unknown } | undefined} [original] what user code threw, if a failure stands for it
 * @returns {Promise<{ id: number, value: any }>}
 */
async function operate(begin, deliver, signal, cancel, original) {
  signal?.throwIfAborted()
  let id = 0
  /** @type {(() => void) | undefined} */
  let onAbort
  /** @type {Outcome} */
  const outcome = await new Promise((resolve) => {
    /** Outputs too large to be parsed as JSON. @type {{ stdout?: string, stderr?: string } | undefined} */
    let large
    id = begin((frames) => {
      for (let at = 0; at < frames.length; at += 2) {
        const kind = /** @type {number} */ (frames[at])
        const payload = /** @type {string} */ (frames[at + 1])
        if (kind === DONE) resolve({ value: large ? Object.assign(JSON.parse(payload), large) : JSON.parse(payload) })
        else if (kind === FAIL) resolve({ failure: JSON.parse(payload) })
        else if (kind === RESULT_STDOUT) large = { ...large, stdout: payload }
        else if (kind === RESULT_STDERR) large = { ...large, stderr: payload }
        else guarded(deliver, kind, payload)
      }
    })
    if (signal && cancel) {
      onAbort = () => cancel(id)
      signal.addEventListener('abort', onAbort, { once: true })
    }
  })
  if (onAbort) signal?.removeEventListener('abort', onAbort)
  return { id, value: conclude(outcome, signal, original) }
}

/**
 * A listener that throws must cost neither the events behind it nor the call: what it threw surfaces as an uncaught
 * exception, as it would from any other emitter called by the event loop.
 * @param {Deliver} deliver @param {number} kind @param {string} payload
 */
function guarded(deliver, kind, payload) {
  try {
    deliver(kind, payload)
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown
    })
  }
}

/**
 * The value of an outcome, or its error thrown.
 * @param {Outcome} outcome
 * @param {AbortSignal} [signal]
 * @param {Parameters<typeof revive>[1]} [original]
 * @returns {any}
 */
function conclude(outcome, signal, original) {
  if (signal?.aborted) throw abortReason(signal, 'failure' in outcome ? revive(outcome.failure, original) : undefined)
  if ('failure' in outcome) throw revive(outcome.failure, original)
  return outcome.value
}

/**
 * What an aborted call rejects with: the signal's own reason. If that is the DOMException an AbortController makes by
 * itself, its `cause` tells what was stopped; a reason the caller made is never touched.
 * @param {AbortSignal} signal
 * @param {Error} [stopped]
 * @returns {unknown}
 */
function abortReason(signal, stopped) {
  const { reason } = signal
  if (stopped && reason instanceof DOMException && !Object.hasOwn(reason, 'cause')) set(reason, 'cause', stopped)
  return reason
}

/**
 * Drives a machine whose sandboxes are native.
 * @param {import('./native')} native
 * @param {import('./native').Machine} machine
 */
function nativeDriver(native, machine) {
  /** What `fetch` rejected with, by number, until the calls that may want it are over. @type {Map<number, unknown>} */
  const thrown = new Map()
  const requests = new Requests(
    (ticket, answer) => native.answer(machine, ticket, JSON.stringify(answer)),
    (error) => {
      const number = ++serial
      thrown.set(number, error)
      return { code: 'PROVIDER_FAILED', message: messageOf(error), retryable: false, details: { rejection: number } }
    },
  )
  let serial = 0
  let calls = 0
  return {
    /**
     * @param {import('./arguments').Parsed} parsed
     * @param {Deliver} deliver
     * @returns {Promise<any>}
     */
    async call({ request, extras }, deliver) {
      const json = require('./arguments').encode(request)
      const begin = (/** @type {import('./native').OnFrames} */ onFrames) => native.start(machine, json, onFrames)
      /** @type {number[]} */
      const asked = []
      /** @type {Deliver} */
      const receive = (kind, text) => {
        if (kind !== REQUEST) return deliver(kind, text)
        const { ticket, request } = JSON.parse(text)
        asked.push(ticket)
        void requests.send(ticket, request)
      }
      calls += 1
      try {
        const original = (/** @type {Failure} */ { details }) => {
          const number = details?.rejection
          return typeof number === 'number' && thrown.has(number) ? { value: thrown.get(number) } : undefined
        }
        const { value } = await operate(begin, receive, extras.signal, (id) => native.cancel(machine, id), original)
        return value
      } finally {
        for (const ticket of asked) requests.giveUp(ticket)
        calls -= 1
        if (calls === 0) thrown.clear()
      }
    },
  }
}

module.exports = { operate, conclude, nativeDriver, DONE, FAIL, STDOUT, STDERR, UPDATE, ERROR, EVENT, SESSION, OBJECT }
