'use strict'

/**
 * Drives a machine whose sandboxes come from a JavaScript object. The machine says what it wants, this file does it: no
 * behaviour lives here, only the calling conventions such providers were written against. Those are upstream's: methods are
 * called as methods, `commands` is read for every command, plain values count as promises, listeners run inside
 * `onStdout`, results pass through untouched.
 */

// The real ones, also where a test replaced the global ones.
const { setTimeout, clearTimeout } = require('node:timers')
const { conclude, STDOUT, STDERR, UPDATE, ERROR, EVENT, OBJECT } = require('./operation')
const { Requests } = require('./http')
const { encode, isObject } = require('./arguments')
const { messageOf } = require('./errors')

const KINDS = { stdout: STDOUT, stderr: STDERR, update: UPDATE, error: ERROR, event: EVENT, object: OBJECT }

/**
 * @typedef {import('./native').Failure} Failure
 * @typedef {import('./operation').Deliver} Deliver
 * @typedef {import('./operation').Outcome} Outcome
 *
 * @typedef {object} Call one public call in flight
 * @property {Record<string, unknown>} request
 * @property {import('./arguments').Extras} extras
 * @property {Deliver} deliver
 * @property {(outcome: Outcome) => void} settle
 * @property {number[]} asked its requests to services
 * @property {unknown} [result] what the provider answered, untouched
 * @property {{ thrown: unknown }} [listener] the first thing a listener threw where that fails the call
 *
 * @typedef {{ action: string, [key: string]: any }} Action `protocol.rs`, `Action`
 */

class ProviderDriver {
  /**
   * @param {import('./native')} native
   * @param {import('./native').Machine} machine
   * @param {any} provider
   * @param {Record<string, unknown>} secrets handed to `create` as they are, whatever their types
   * @param {(id: string | null) => void} onSession gets the session id whenever it changes
   */
  constructor(native, machine, provider, secrets, onSession) {
    this.native = native
    this.machine = machine
    this.provider = provider
    this.secrets = secrets
    this.onSession = onSession
    /** Calls in flight by operation. @type {Map<number, Call>} */
    this.calls = new Map()
    /** Sandboxes by the ticket that opened them. @type {Map<number, any>} */
    this.sandboxes = new Map()
    /** Runs that wait for the provider: operation by ticket. @type {Map<number, number>} */
    this.runs = new Map()
    /** @type {Map<number, NodeJS.Timeout>} */
    this.timers = new Map()
    /** What the provider rejected with, by number, while a call may still want it as its cause. @type {unknown[]} */
    this.rejections = []
    this.requests = new Requests(
      (ticket, result) => this.feed({ input: 'answered', ticket, result }),
      (thrown) => this.failure(thrown),
    )
    /** Actions not carried out yet: a listener may make a call, and its actions come after those before. @type {Action[]} */
    this.queue = []
    this.busy = false
  }

  /**
   * Makes one public call.
   * @param {import('./arguments').Parsed} parsed
   * @param {Deliver} deliver
   * @returns {Promise<any>}
   */
  async call({ request, extras }, deliver) {
    const { signal } = extras
    signal?.throwIfAborted()
    const op = this.native.nextOp()
    const onAbort = () => this.feed({ input: 'cancel', op })
    signal?.addEventListener('abort', onAbort, { once: true })
    /** @type {Call} */
    let call
    const outcome = await new Promise((/** @type {(outcome: Outcome) => void} */ settle) => {
      call = { request, extras, deliver, settle, asked: [] }
      this.calls.set(op, call)
      this.feed({ input: 'call', op, ...request })
    })
    signal?.removeEventListener('abort', onAbort)
    try {
      return conclude(outcome, signal, (failure) => this.original(failure))
    } finally {
      if (this.calls.size === 0) this.rejections = []
    }
  }

  /** @param {Record<string, unknown>} input `protocol.rs`, `Input` */
  feed(input) {
    this.queue.push(...JSON.parse(this.native.feed(this.machine, Date.now(), encode(input))))
    if (this.busy) return
    this.busy = true
    try {
      for (let action = this.queue.shift(); action; action = this.queue.shift()) this.carryOut(action)
    } finally {
      this.busy = false
    }
  }

  /** @param {Action} action */
  carryOut(action) {
    switch (action.action) {
      case 'emit':
        return this.emit(action)
      case 'run':
        return void this.run(action)
      case 'open':
        return void this.open(action)
      case 'request':
        this.calls.get(action.op)?.asked.push(action.ticket)
        return void this.requests.send(action.ticket, action.request)
      case 'settle':
        return this.settle(action)
      case 'session':
        return this.onSession(action.id)
      case 'stop':
        return this.stop(action)
      case 'close':
        return void this.request(action, async (instance) => {
          await instance.kill()
          this.sandboxes.delete(action.sandbox)
        })
      case 'pause':
        return void this.request(action, (instance) => instance.pause())
      case 'thaw':
        return void this.request(action, async (instance) => {
          const { provider } = this
          const resumed = await provider.resume(instance.sandboxId)
          const id = idOf(resumed)
          this.sandboxes.set(action.sandbox, resumed)
          return id
        })
      case 'host':
        return void this.request(action, async (instance) => {
          const call = this.calls.get(action.op)
          const host = await instance.getHost(call ? call.extras.port : action.port)
          if (call) call.result = host
          return typeof host === 'string' ? host : null
        })
      case 'release':
        this.sandboxes.delete(action.sandbox)
        return
      case 'arm':
        return this.arm(action)
      case 'disarm':
        clearTimeout(this.timers.get(action.timer))
        this.timers.delete(action.timer)
        return
      case 'remember':
        // JavaScript providers have no place for a record.
        return
      default:
        throw new Error(`The machine asked for "${action.action}", which this driver does not know`)
    }
  }

  /** @param {Action} action */
  emit({ op, channel, text }) {
    const call = this.calls.get(op)
    if (!call || call.listener) return
    try {
      call.deliver(KINDS[/** @type {keyof KINDS} */ (channel)], text)
    } catch (thrown) {
      // Outside of a chunk's delivery a listener that throws fails the call (contract of upstream).
      call.listener = { thrown }
      queueMicrotask(() => this.feed({ input: 'cancel', op }))
    }
  }

  /** @param {Action} action */
  async open({ ticket, resume, env, agent, workingDirectory }) {
    const { provider } = this
    /** @type {unknown} */
    let result
    try {
      const instance = await (typeof resume === 'string'
        ? provider.resume(resume)
        : provider.create(this.environment(env), agent, workingDirectory))
      const sandboxId = idOf(instance)
      this.sandboxes.set(ticket, instance)
      result = { Ok: { sandboxId } }
    } catch (thrown) {
      result = { Err: this.failure(thrown) }
    }
    this.feed({ input: 'opened', ticket, result })
  }

  /**
   * The agent's variables first, then the secrets.
   * @param {Array<[string, string]>} env
   */
  environment(env) {
    const own = env.filter(([name]) => !Object.hasOwn(this.secrets, name))
    return { ...Object.fromEntries(own), ...this.secrets }
  }

  /** @param {Action} action */
  async run({ op, ticket, sandbox, command, stream, options }) {
    const call = this.calls.get(op)
    this.runs.set(ticket, op)
    /** @type {unknown} */
    let result
    try {
      const instance = this.sandboxes.get(sandbox)
      const answer = await instance.commands.run(command.program.shell, this.options(ticket, command, options, stream, call))
      if (call && stream) call.result = answer
      const exit = { code: exitCodeOf(answer) }
      const own = !stream || call?.request.call === 'cloneRepository'
      const kept = own && { stdout: textOf(answer, 'stdout'), stderr: textOf(answer, 'stderr') }
      result = { Ok: { exit, ...kept, json: stream ? (JSON.stringify(answer) ?? null) : null } }
    } catch (thrown) {
      result = { Err: this.failure(thrown) }
    }
    // A run that was stopped has been answered for already.
    if (this.runs.delete(ticket)) this.feed({ input: 'ran', op, ticket, result })
  }

  /**
   * The options of one run: exactly the keys upstream passes, in its order.
   * @param {number} ticket @param {Action['command']} command @param {'limit' | 'background' | 'stdout' | 'streams'} keys
   * @param {boolean} stream @param {Call} [call]
   */
  options(ticket, command, keys, stream, call) {
    const timeoutMs = command.timeoutMs ?? 0
    const { background } = command
    if (keys === 'limit') return { timeoutMs }
    if (keys === 'background') return { timeoutMs, background }
    if (keys === 'stdout' || !stream) return { timeoutMs, background, onStdout() {} }
    const wanted = call?.extras.timeoutMs
    return {
      timeoutMs: wanted === undefined ? timeoutMs : wanted,
      background,
      onStdout: (/** @type {unknown} */ chunk) => this.chunk(ticket, 0, chunk, call),
      onStderr: (/** @type {unknown} */ chunk) => this.chunk(ticket, 1, chunk, call),
    }
  }

  /**
   * One chunk of output, delivered before the provider goes on.
   * @param {number} ticket @param {0 | 1} stream @param {unknown} chunk @param {Call} [call]
   */
  chunk(ticket, stream, chunk, call) {
    if (typeof chunk !== 'string') throw new TypeError('chunk.replace is not a function: onStdout and onStderr take strings')
    const deliveries = this.native.output(this.machine, Date.now(), ticket, stream, chunk)
    if (!deliveries || !call) return
    for (let at = 0; at < deliveries.length; at += 2) {
      try {
        call.deliver(/** @type {number} */ (deliveries[at]), /** @type {string} */ (deliveries[at + 1]))
      } catch {
        // Upstream drops what a listener throws here; the messages behind this one still come.
      }
    }
  }

  /**
   * There is no way to stop a command of such a provider. Waiting for it would make the caller hang, so its run counts as
   * over; what it still answers is ignored.
   * @param {Action} action
   */
  stop({ ticket }) {
    const op = this.runs.get(ticket)
    if (op === undefined) return
    this.runs.delete(ticket)
    const message = 'The call was given up; this provider cannot stop a command, so it may still be running.'
    this.feed({ input: 'ran', op, ticket, result: { Err: { code: 'ABORTED', message, retryable: false } } })
  }

  /**
   * @param {Action} action
   * @param {(instance: any) => unknown} work
   */
  async request({ ticket, sandbox }, work) {
    /** @type {unknown} */
    let result
    try {
      const value = await work(this.sandboxes.get(sandbox))
      result = { Ok: typeof value === 'string' ? value : null }
    } catch (thrown) {
      result = { Err: this.failure(thrown) }
    }
    this.feed({ input: 'done', ticket, result })
  }

  /** @param {Action} action */
  arm({ timer, afterMs }) {
    clearTimeout(this.timers.get(timer))
    const fire = () => {
      this.timers.delete(timer)
      this.feed({ input: 'timer', timer })
    }
    // Node.js fires longer ones at once.
    this.timers.set(timer, setTimeout(fire, Math.min(afterMs, 2 ** 31 - 1)))
  }

  /** @param {Action} action */
  settle({ op, result }) {
    const call = this.calls.get(op)
    if (!call) return
    this.calls.delete(op)
    for (const ticket of call.asked) this.requests.giveUp(ticket)
    if (call.listener) return call.settle({ failure: this.listenerFailure(call, call.listener.thrown) })
    if ('Err' in result) return call.settle({ failure: unmarked(result.Err) })
    const value = result.Ok
    if (isObject(value) && value.spread === true) {
      const { spread, sandboxId, ...more } = value
      call.settle({ value: { sandboxId: sandboxId ?? undefined, ...more, ...(/** @type {object} */ (call.result)) } })
    } else {
      call.settle({ value: call.request.call === 'getHost' ? call.result : value })
    }
  }

  /**
   * A failure that stands for something user code threw.
   * @param {unknown} thrown
   * @returns {Failure}
   */
  failure(thrown) {
    /** @type {Record<string, unknown>} */
    const details = { rejection: this.rejections.push(thrown) - 1 }
    if (isObject(thrown)) {
      if (Number.isSafeInteger(thrown.exitCode)) details.exitCode = thrown.exitCode
      for (const stream of ['stdout', 'stderr']) if (typeof thrown[stream] === 'string') details[stream] = thrown[stream]
    }
    return { code: 'PROVIDER_FAILED', message: messageOf(thrown), retryable: false, details }
  }

  /** What user code threw, if a failure stands for it. @param {Failure} failure */
  original({ details }) {
    const number = details?.rejection
    return typeof number === 'number' ? { value: this.rejections[number] } : undefined
  }

  /**
   * @param {Call} call @param {unknown} thrown
   * @returns {Failure}
   */
  listenerFailure(call, thrown) {
    const message = `Failed to ${call.request.call === 'generateCode' ? 'generate code' : 'execute command'}: ${messageOf(thrown)}`
    return { code: 'LISTENER_FAILED', message, retryable: false, admitted: 'yes', cause: this.failure(thrown) }
  }
}

/**
 * A failure around another one takes over its details, but only the innermost stands for what was thrown.
 * @param {Failure} failure
 * @returns {Failure}
 */
function unmarked(failure) {
  for (let outer = failure; outer.cause; outer = outer.cause) delete outer.details?.rejection
  return failure
}

/** Reads the id; throws the TypeError of a sandbox that is none. @param {any} instance @returns {string | null} */
function idOf(instance) {
  const id = instance.sandboxId
  return id === undefined || id === null ? null : String(id)
}

/** @param {unknown} answer @param {'stdout' | 'stderr'} stream @returns {string} empty when the provider does not tell */
function textOf(answer, stream) {
  const text = isObject(answer) ? answer[stream] : undefined
  return typeof text === 'string' ? text : ''
}

/** @param {unknown} answer @returns {number} 32 bits, 0 when the provider does not tell */
function exitCodeOf(answer) {
  return isObject(answer) && Number.isInteger(answer.exitCode) ? answer.exitCode | 0 : 0
}

module.exports = { ProviderDriver }
