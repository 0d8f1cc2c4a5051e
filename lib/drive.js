'use strict'

/**
 * Drives a machine whose sandboxes come from a JavaScript object. The machine says what it wants, this file does it: no
 * behaviour lives here, only the calling conventions such providers were written against. Those are upstream's: methods are
 * called as methods, `commands` is read for every command, plain values count as promises, listeners run inside
 * `onStdout`, results pass through untouched.
 */

// The real ones, also where a test replaced the global ones.
const { setTimeout, clearTimeout, setImmediate } = require('node:timers')
const { conclude, STDOUT, STDERR } = require('./operation')
const { Requests } = require('./http')
const { encode, isObject } = require('./arguments')
const { messageOf } = require('./errors')
const { Planned } = require('./planned')
const { PackedReader, JSON_ACTION, EMIT, RUN, ANSWER, FLUSH, LIMIT, BACKGROUND, ONLY_STDOUT, ALOUD } = require('./packed')

/** What Node.js can wait for; it fires longer timers at once. */
const LONGEST_WAIT = 2 ** 31 - 1

/** Milliseconds for a sandbox to make a pair of keys; it takes a tenth of a second. */
const SEAL_LIMIT = 30_000

/**
 * @typedef {import('./native').Failure} Failure
 * @typedef {import('./operation').Deliver} Deliver
 * @typedef {import('./operation').Outcome} Outcome
 *
 * @typedef {{ action: string, [key: string]: any }} Action `protocol.rs`, `Action`
 */

/** One public call in flight. */
class Call {
  /**
   * @param {number} op
   * @param {import('./arguments').Parsed} parsed
   * @param {Deliver} deliver
   * @param {(outcome: Outcome) => void} resolve
   */
  constructor(op, { request, extras }, deliver, resolve) {
    this.op = op
    /** @type {Record<string, any>} */
    this.request = request
    this.extras = extras
    this.deliver = deliver
    this.resolve = resolve
    /** What the provider answered, untouched. @type {unknown} */
    this.result = undefined
    /** The run whose output is delivered. @type {Output | undefined} */
    this.output = undefined
    /** The first thing a listener threw where that fails the call. @type {{ thrown: unknown } | undefined} */
    this.listener = undefined
    /** @type {(() => void) | undefined} */
    this.onAbort = undefined
    this.settled = false
    /** Of the run that goes on, where a plan was followed and the machine has taken over. 0 is none. */
    this.ticket = 0
    /** Among the calls that follow a plan. */
    this.place = 0
    /** Its requests to services. @type {number[] | undefined} */
    this.asked = undefined
  }
}

/** Loaded by the first command that prints something. @param {import('./native')} native */
const messagesOf = (native) => new (require('./messages').Messages)(native)

/** The output of one run. */
class Output {
  /** @param {import('./native')} native @param {Call} call @param {number[]} channels */
  constructor(native, call, channels) {
    this.native = native
    this.call = call
    this.channels = channels
    /** The provider failed: nothing more is listened to. */
    this.over = false
    /** The provider has answered. Messages it completes later still come, as with upstream: a background command's, say. */
    this.answered = false
    /** @type {import('./messages').Messages | undefined} */
    this.stdout = undefined
    /** @type {import('./messages').Messages | undefined} */
    this.stderr = undefined
  }

  /** @param {unknown} chunk */
  onStdout(chunk) {
    this.take((this.stdout ??= messagesOf(this.native)), chunk)
  }

  /** @param {unknown} chunk */
  onStderr(chunk) {
    this.take((this.stderr ??= messagesOf(this.native)), chunk)
  }

  /**
   * One chunk, delivered before the provider goes on.
   * @param {import('./messages').Messages} stream @param {unknown} chunk
   */
  take(stream, chunk) {
    if (typeof chunk !== 'string') throw new TypeError('chunk.replace is not a function: onStdout and onStderr take strings')
    const { call } = this
    if (this.over || (call.settled && !this.answered)) return
    const messages = stream.push(chunk)
    if (messages !== undefined) this.tell(messages)
  }

  /** @param {string[]} messages */
  tell(messages) {
    const { call, channels } = this
    for (const message of messages) {
      for (const channel of channels) {
        try {
          call.deliver(channel, message)
        } catch {
          // Upstream drops what a listener throws here; the messages behind this one still come.
        }
      }
    }
  }
}

class ProviderDriver {
  /**
   * @param {import('./native')} native
   * @param {import('./native').Machine} machine
   * @param {any} provider
   * @param {Record<string, unknown>} secrets handed to `create` as they are, whatever their types
   * @param {object} owner
   * @param {(id: string | null) => void} owner.onSession gets the session id whenever it changes
   * @param {(instance: any) => void} owner.onSandbox gets the live sandbox whenever it changes, `undefined` when there is none
   * @param {() => Record<string, unknown>} owner.variables what the agent gives a sandbox, under upstream's names and in its order
   */
  constructor(native, machine, provider, secrets, owner) {
    this.native = native
    this.machine = machine
    this.provider = provider
    this.secrets = secrets
    this.owner = owner
    this.lastOp = 0
    /** Calls in flight by operation. @type {Map<number, Call>} */
    this.calls = new Map()
    /** Sandboxes by the ticket that opened them. @type {Map<number, any>} */
    this.sandboxes = new Map()
    /** What the provider rejected with, by number, while a call may still want it as its cause. @type {unknown[]} */
    this.rejections = []
    this.requests = new Requests(
      (ticket, result) => this.feed({ input: 'answered', ticket, result }),
      (thrown) => this.failure(thrown),
    )
    /** Actions not carried out yet: a listener may make a call, and its actions come after those before. @type {string[]} */
    this.queue = []
    this.busy = false
    /** Whether the machine has timers: a number as in `Packed`. */
    this.waits = 0
    /** They are looked at in this turn of the event loop. */
    this.looking = false
    /** @type {NodeJS.Timeout | undefined} */
    this.timer = undefined
    this.planned = new Planned(this)
  }

  /**
   * Makes one public call.
   * @param {import('./arguments').Parsed} parsed
   * @param {Deliver} deliver
   * @returns {Promise<any>}
   */
  async call(parsed, deliver) {
    return conclude(await this.start(parsed, deliver), parsed.extras.signal)
  }

  /**
   * Makes one public call and says how it ended; what it made of that is the caller's.
   * @param {import('./arguments').Parsed} parsed
   * @param {Deliver} deliver
   * @returns {Promise<Outcome>}
   */
  start(parsed, deliver) {
    const { extras } = parsed
    /** @type {Record<string, any>} */
    const request = parsed.request
    const { signal } = extras
    signal?.throwIfAborted()
    const op = ++this.lastOp
    return new Promise((resolve) => {
      const call = new Call(op, parsed, deliver, resolve)
      const { plan } = this.planned
      if (plan && !signal && !this.busy && isPlain(request)) {
        void this.planned.follow(call, plan)
        return
      }
      if (signal) {
        call.onAbort = () => this.feed({ input: 'cancel', op })
        signal.addEventListener('abort', call.onAbort, { once: true })
      }
      this.calls.set(op, call)
      if (isPlain(request)) {
        const { command, timeoutMs, background } = request
        this.planned.end()
        this.take(this.native.execute(this.machine, op, command, timeoutMs, background))
      } else this.feed({ input: 'call', op, ...request })
    })
  }

  /** @param {Record<string, unknown>} input `protocol.rs`, `Input` */
  feed(input) {
    this.planned.end()
    this.take(this.native.feed(this.machine, encode(input)))
  }

  /**
   * Carries out actions, after those that are being carried out already.
   * @param {import('./native').Packed} packed
   */
  take(packed) {
    if (this.busy) {
      this.queue.push(packed)
      return
    }
    this.busy = true
    try {
      for (let next = /** @type {string | undefined} */ (packed); next !== undefined; next = this.queue.shift()) {
        this.carryOut(new PackedReader(next))
      }
    } finally {
      this.busy = false
    }
    if (this.waits === 0) this.rest()
    else if (this.waits === 2 || this.timer === undefined) this.look()
  }

  /** Ends a time in which actions had to wait. */
  free() {
    this.busy = false
    if (this.queue.length > 0) this.take(/** @type {string} */ (this.queue.shift()))
  }

  /** @param {PackedReader} actions */
  carryOut(actions) {
    this.waits = actions.number()
    while (actions.more) {
      const kind = actions.number()
      switch (kind) {
        case EMIT:
          this.emit(actions.number(), actions.number(), actions.text())
          break
        case RUN:
          this.run(actions)
          break
        case ANSWER:
          this.answer(actions)
          break
        case FLUSH:
          this.flush(this.calls.get(actions.number()))
          break
        case JSON_ACTION:
          this.act(JSON.parse(actions.text()))
          break
        default:
          throw new Error(`The machine asked for action ${kind}, which this driver does not know`)
      }
    }
  }

  /** @param {Action} action */
  act(action) {
    switch (action.action) {
      case 'open':
        return void this.open(action)
      case 'request':
        return this.ask(action)
      case 'settle':
        return this.settle(action)
      case 'session':
        return this.owner.onSession(action.id)
      case 'close':
        return void this.request(action, async (instance) => {
          await instance.kill()
          this.forget(action.sandbox)
        })
      case 'pause':
        return void this.request(action, (instance) => instance.pause())
      case 'thaw':
        return void this.request(action, async (instance) => {
          const { provider } = this
          const resumed = await provider.resume(instance.sandboxId)
          const id = idOf(resumed)
          this.keep(action.sandbox, resumed)
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
        this.forget(action.sandbox)
        return
      case 'remember':
        // JavaScript providers have no place for a record.
        return
      default:
        throw new Error(`The machine asked for "${action.action}", which this driver does not know`)
    }
  }

  /**
   * Looks at the machine's timers once this turn of the event loop is over: what begins and ends within a turn, as with
   * a provider that answers at once, needs none of Node.js.
   */
  look() {
    if (this.looking) return
    this.looking = true
    setImmediate(() => {
      this.looking = false
      this.planned.adopt()
      this.wait()
    })
  }

  /** One timer of Node.js, for whichever of the machine's is due first. */
  wait() {
    const due = this.native.dueInMs(this.machine)
    this.rest()
    if (due === null) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.planned.end()
      this.take(this.native.expire(this.machine))
    }, Math.min(due, LONGEST_WAIT))
  }

  rest() {
    if (this.timer === undefined) return
    clearTimeout(this.timer)
    this.timer = undefined
  }

  /**
   * A message of the machine's own, or text that was held. What a listener throws here fails the call (contract of upstream).
   * @param {number} op @param {number} channel @param {string} text
   */
  emit(op, channel, text) {
    const call = this.calls.get(op)
    if (call) this.tell(call, channel, text)
  }

  /** @param {Call} call @param {number} channel @param {string} text */
  tell(call, channel, text) {
    if (call.listener) return
    try {
      call.deliver(channel, text)
    } catch (thrown) {
      call.listener = { thrown }
      queueMicrotask(() => this.feed({ input: 'cancel', op: call.op }))
    }
  }

  /** Delivers what is held of the output of a call's run. @param {Call | undefined} call */
  flush(call) {
    const output = call?.output
    if (!call || !output) return
    if (output.stdout) this.finish(call, output.channels, output.stdout)
    if (output.stderr) this.finish(call, output.channels, output.stderr)
  }

  /** @param {Call} call @param {number[]} channels @param {import('./messages').Messages} messages */
  finish(call, channels, messages) {
    const rest = messages.finish()
    if (rest !== undefined) for (const channel of channels) this.tell(call, channel, rest)
  }

  /** @param {Action} action */
  ask({ op, ticket, request }) {
    const call = this.calls.get(op)
    if (!call) return
    ;(call.asked ??= []).push(ticket)
    void this.requests.send(ticket, request)
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
      this.keep(ticket, instance)
      result = { Ok: { sandboxId } }
    } catch (thrown) {
      result = { Err: this.failure(thrown) }
    }
    this.feed({ input: 'opened', ticket, result })
  }

  /** @param {number} ticket @param {any} instance */
  keep(ticket, instance) {
    this.sandboxes.set(ticket, instance)
    this.owner.onSandbox(instance)
  }

  /** @param {number} ticket */
  forget(ticket) {
    this.sandboxes.delete(ticket)
    this.owner.onSandbox([...this.sandboxes.values()].at(-1))
  }

  /** The sandbox a finished `getSandbox` call named. @param {number} ticket @returns {any} */
  sandbox(ticket) {
    return this.sandboxes.get(ticket)
  }

  /**
   * The agent's variables first, then the secrets. A variable without a value is there as well, as with upstream.
   * @param {Array<[string, string]>} env
   */
  environment(env) {
    const known = Object.fromEntries(env.filter(([name]) => !Object.hasOwn(this.secrets, name)))
    return { ...this.owner.variables(), ...known, ...this.secrets }
  }

  /**
   * There is no way to stop a command of such a provider. The machine does not wait for one it has given up, and ignores
   * what it still answers.
   * @param {PackedReader} action
   */
  async run(action) {
    const op = action.number()
    const ticket = action.number()
    const instance = this.sandboxes.get(action.number())
    const timeoutMs = action.number()
    const background = action.number() === 1
    const keys = action.number()
    const call = this.calls.get(op)
    const channels = []
    for (let left = action.number(); left > 0; left--) channels.push(action.number())
    let line = action.text()
    const exports = action.text()
    const output = call && channels.length > 0 ? this.listen(call, channels) : undefined
    /** @type {unknown} */
    let answer
    /** @type {string | undefined} */
    let json
    try {
      if (exports !== '') {
        line = await seal(instance, exports, line)
        if (call?.settled) return
      }
      answer = await instance.commands.run(line, output ? this.optionsOf(timeoutMs, background, output) : helperOptions(timeoutMs, background, keys, call))
      if (output) {
        output.call.result = answer
        json = JSON.stringify(answer)
      }
    } catch (thrown) {
      if (output) output.over = true
      return this.feed({ input: 'ran', op, ticket, result: { Err: this.failure(thrown) } })
    }
    if (!output) return this.helperRan(op, ticket, answer)
    // A call that was given up before hears nothing more.
    output.answered = !output.call.settled
    this.take(this.native.ran(this.machine, op, ticket, this.exitCodeOf(answer), json))
  }

  /** A command of ours has ended. What it printed is for the machine to read. @param {number} op @param {number} ticket @param {any} answer */
  helperRan(op, ticket, answer) {
    const code = this.exitCodeOf(answer)
    if (isObject(answer) && (answer.stdout || answer.stderr)) {
      const [stdout, stderr] = [textOf(answer.stdout), textOf(answer.stderr)]
      return this.feed({ input: 'ran', op, ticket, result: { Ok: { exit: { code }, stdout, stderr } } })
    }
    this.take(this.native.ran(this.machine, op, ticket, code, undefined))
  }

  /**
   * The options of one run: exactly the keys upstream passes, in its order.
   * @param {number} timeoutMs @param {boolean} background @param {Output} output
   */
  optionsOf(timeoutMs, background, output) {
    const wanted = output.call.extras.timeoutMs
    return {
      timeoutMs: wanted === undefined ? timeoutMs : wanted,
      background,
      onStdout: (/** @type {unknown} */ chunk) => output.onStdout(chunk),
      onStderr: (/** @type {unknown} */ chunk) => output.onStderr(chunk),
    }
  }

  /** @param {any} answer @returns {number} 32 bits, 0 when the provider does not tell */
  exitCodeOf(answer) {
    return isObject(answer) && Number.isInteger(answer.exitCode) ? answer.exitCode | 0 : 0
  }

  /** Makes what takes the output of a call's run. @param {Call} call @param {number[]} channels */
  listen(call, channels) {
    return (call.output = new Output(this.native, call, channels))
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
  settle({ op, result }) {
    const call = this.calls.get(op)
    if (!call) return
    if ('Err' in result) this.conclude(call, { failure: unmarked(result.Err) })
    else this.conclude(call, { value: call.request.call === 'getHost' ? call.result : result.Ok })
  }

  /** @param {PackedReader} action */
  answer(action) {
    const call = this.calls.get(action.number())
    const named = action.number() === 1
    const id = action.text()
    if (!call) return
    this.conclude(call, { value: { sandboxId: named ? id : undefined, ...(/** @type {object} */ (call.result)) } })
    if (isPlain(call.request)) this.planned.learn()
  }

  /** @param {Call} call @param {Outcome} outcome */
  conclude(call, outcome) {
    const { extras, listener, onAbort } = call
    this.calls.delete(call.op)
    call.settled = true
    if (call.asked) for (const ticket of call.asked) this.requests.giveUp(ticket)
    if (onAbort) extras.signal?.removeEventListener('abort', onAbort)
    const ended = listener ? { failure: this.listenerFailure(call, listener.thrown) } : outcome
    if ('failure' in ended) ended.original = originalOf(this.rejections)
    if (this.calls.size === 0 && this.rejections.length > 0) this.rejections = []
    call.resolve(ended)
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

/**
 * Finds what user code threw, for failures that stand for it.
 * @param {unknown[]} rejections
 * @returns {(failure: Failure) => { value: unknown } | undefined}
 */
const originalOf = (rejections) => ({ details }) => {
  const number = details?.rejection
  return typeof number === 'number' ? { value: rejections[number] } : undefined
}

/**
 * The options of the machine's own commands.
 * @param {number} timeoutMs @param {boolean} background @param {number} keys @param {Call} [call]
 */
function helperOptions(timeoutMs, background, keys, call) {
  if (keys === LIMIT) return { timeoutMs }
  if (keys === BACKGROUND) return { timeoutMs, background }
  if (keys === ONLY_STDOUT) return { timeoutMs, background, onStdout() {} }
  const pass = (/** @type {number} */ kind) => (/** @type {string} */ chunk) => {
    if (keys === ALOUD && call && !call.settled) call.deliver(kind, chunk)
  }
  return { timeoutMs, background, onStdout: pass(STDOUT), onStderr: pass(STDERR) }
}

/** @param {unknown} text */
const textOf = (text) => (typeof text === 'string' ? text : '')

/**
 * Whether a request is a command with nothing but what `native.execute` takes.
 * @param {Record<string, any>} request
 * @returns {request is { command: string, timeoutMs?: number, background: boolean }}
 */
function isPlain({ call, readOnly, branch, env, stdin, maxOutputBytes }) {
  return call === 'executeCommand' && !readOnly && branch === undefined && env === undefined && stdin === undefined && maxOutputBytes === undefined
}

/** Reads the id; throws the TypeError of a sandbox that is none. @param {any} instance @returns {string | null} */
function idOf(instance) {
  const id = instance.sandboxId
  return id === undefined || id === null ? null : String(id)
}

/**
 * A line with its environment, as far as such a provider can be given one.
 * @param {any} instance @param {string} exports @param {string} line
 */
async function seal(instance, exports, line) {
  // Loaded where it is needed, so that importing stays cheap.
  const { sealed } = require('./sealed')
  const make = async (/** @type {string} */ text) => {
    // Some providers tell what was printed in the answer, some to the callbacks alone.
    let heard = ''
    const onStdout = (/** @type {unknown} */ chunk) => void (heard += textOf(chunk))
    const answer = await instance.commands.run(text, { timeoutMs: SEAL_LIMIT, background: false, onStdout, onStderr() {} })
    return textOf(answer?.stdout) || heard
  }
  // A sandbox in which that fails may still need no secret: its remote may have one from before.
  return sealed(make, exports, line).catch(() => line)
}

module.exports = { ProviderDriver, Call }
