'use strict'

/**
 * One operation of the native side: frames in, one outcome out. Everything that happened is delivered before the promise
 * settles, because events and outcome come through the same ordered channel.
 */

// Not the global one, which test runners replace by clocks of their own.
const { setImmediate } = require('node:timers')
const { native: addon } = require('./loader')
const { revive, set, messageOf } = require('./errors')

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
 * @typedef {Parameters<typeof revive>[1]} Original
 * @typedef {{ value: unknown } | { failure: Failure, original?: Original }} Outcome
 * @typedef {(kind: number, text: string) => void} Deliver
 */

/**
 * Runs one native operation.
 * @param {Parameters<typeof follow>[0]} begin @param {Deliver} deliver
 * @param {AbortSignal} [signal] @param {(operation: number) => void} [cancel]
 * @returns {Promise<{ id: number, value: any }>}
 */
async function operate(begin, deliver, signal, cancel) {
  const { id, outcome } = await follow(begin, deliver, signal, cancel)
  return { id, value: conclude(outcome, signal) }
}

/**
 * Runs one native operation and says how it ended.
 * @param {(onFrames: import('./native').OnFrames) => number} begin starts it and gives its id
 * @param {Deliver} deliver gets every frame but the last
 * @param {AbortSignal} [signal]
 * @param {(operation: number) => void} [cancel]
 * @returns {Promise<{ id: number, outcome: Outcome }>}
 */
async function follow(begin, deliver, signal, cancel) {
  signal?.throwIfAborted()
  let id = 0
  /** @type {(() => void) | undefined} */
  let onAbort
  /** @type {Outcome} */
  const outcome = await new Promise((resolve) => {
    /** Outputs too large to be parsed as JSON. @type {{ stdout?: string, stderr?: string } | undefined} */
    let large
    id = begin((frames) => {
      // Every turn of the event loop delivers so much and no more.
      if (frames.length % 3 === 1) setImmediate(addon().deliver, /** @type {number} */ (frames[frames.length - 1]))
      for (let at = 0; at + 2 < frames.length; at += 3) {
        const kinds = /** @type {number} */ (frames[at])
        const payload = /** @type {string} */ (frames[at + 1])
        const ends = /** @type {Uint32Array | undefined} */ (frames[at + 2])
        const kind = kinds & 0xff
        if (ends || kinds > 0xff) spread(deliver, kind, (kinds >> 8) - 1, payload, ends)
        else if (kind === DONE) resolve({ value: large ? Object.assign(JSON.parse(payload), large) : JSON.parse(payload) })
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
  return { id, outcome }
}

/**
 * Delivers the messages of one text, each to one kind or two.
 * @param {Deliver} deliver @param {number} kind
 * @param {number} also the second kind; -1 for none
 * @param {string} text
 * @param {Uint32Array} [ends] where the messages end; the whole text is one without
 */
function spread(deliver, kind, also, text, ends) {
  let from = 0
  for (let n = 0; n < (ends ? ends.length : 1); n += 1) {
    const end = ends ? ends[n] : text.length
    const message = text.slice(from, end)
    from = end
    guarded(deliver, kind, message)
    if (also >= 0) guarded(deliver, also, message)
  }
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
 * @returns {any}
 */
function conclude(outcome, signal) {
  if (!signal?.aborted && 'value' in outcome) return outcome.value
  const error = 'failure' in outcome ? revive(outcome.failure, outcome.original) : undefined
  throw signal?.aborted ? abortReason(signal, error) : error
}

/**
 * Finds what was thrown, for failures that stand for it.
 * @param {Map<number, unknown>} thrown by number
 * @returns {NonNullable<Original>}
 */
const originalOf = (thrown) => ({ details }) => {
  const number = details?.rejection
  return typeof number === 'number' && thrown.has(number) ? { value: thrown.get(number) } : undefined
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
  // With the first object only, so that importing stays cheap.
  const { Requests } = require('./http')
  let calls = 0
  let serial = 0
  /** What `fetch` rejected with, by number, until no call can want it any more. @type {Map<number, unknown>} */
  const thrown = new Map()
  const requests = new Requests(
    (ticket, answer) => native.answer(machine, ticket, JSON.stringify(answer)),
    (error) => {
      serial += 1
      thrown.set(serial, error)
      return { code: 'PROVIDER_FAILED', message: messageOf(error), retryable: false, details: { rejection: serial } }
    },
  )
  return {
    /**
     * @param {import('./arguments').Parsed} parsed
     * @param {Deliver} deliver
     * @returns {Promise<any>}
     */
    async call(parsed, deliver) {
      return conclude(await this.start(parsed, deliver), parsed.extras.signal)
    },
    /**
     * @param {import('./arguments').Parsed} parsed
     * @param {Deliver} deliver
     * @returns {Promise<Outcome>}
     */
    async start({ request, extras }, deliver) {
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
        const { outcome } = await follow(begin, receive, extras.signal, (id) => native.cancel(machine, id))
        if ('failure' in outcome && thrown.size > 0) outcome.original = originalOf(new Map(thrown))
        return outcome
      } finally {
        for (const ticket of asked) requests.giveUp(ticket)
        calls -= 1
        if (calls === 0) thrown.clear()
      }
    },
    /** The sandbox a finished `getSandbox` call named. @param {number} ticket @returns {any} */
    sandbox(ticket) {
      const { sandboxObject } = require('./native-provider')
      return sandboxObject(native.machineSandbox(machine, ticket))
    },
  }
}

module.exports = { operate, conclude, nativeDriver, DONE, FAIL, STDOUT, STDERR, UPDATE, ERROR, EVENT, SESSION, OBJECT }
