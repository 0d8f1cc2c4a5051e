'use strict'

/**
 * Commands that follow a plan. What the machine wants done for a command with nothing special about it is known in advance
 * (`plan.rs`), so the machine hears of one only when something else is about to happen while it runs: another input, or the end
 * of the turn of the event loop, from when on it needs the machine's timers. Then the machine takes it over where it is.
 */

/**
 * @typedef {import('./drive').ProviderDriver} ProviderDriver
 * @typedef {import('./drive').Call} Call
 *
 * @typedef {object} Plan `native.d.ts`, `plan`
 * @property {number} sandbox
 * @property {string | null} sandboxId
 * @property {number[]} channels
 * @property {string | null} start
 * @property {string} mkdir
 * @property {number} mkdirLimit
 * @property {string} before
 * @property {number} limit
 * @property {string} end
 */

/** Takes what `mkdir` prints. */
const ignore = () => {}

/** Units of an answer's JSON that are kept. */
const SHORT = 128

class Planned {
  /** @param {ProviderDriver} driver */
  constructor(driver) {
    this.driver = driver
    /** @type {Plan | undefined} */
    this.plan = undefined
    /** Calls that follow it, of which the machine knows nothing. @type {Call[]} */
    this.following = []
    /** An answer's JSON and that as a JSON string: commands that print nothing, of which there are many, all give the same. */
    this.answer = ''
    this.literal = '""'
  }

  /** Asks for the plan: a command has just ended as usual. */
  learn() {
    if (this.plan) return
    const json = this.driver.native.plan(this.driver.machine)
    if (json !== null) this.plan = JSON.parse(json)
  }

  /** The plan does not hold any more, because the machine is about to get another input. */
  end() {
    this.plan = undefined
    this.adopt()
  }

  /** Lets the machine take over what is still running. */
  adopt() {
    while (this.following.length > 0) this.handOver(this.following[0])
  }

  /** @param {Call} call */
  enter(call) {
    call.place = this.following.push(call) - 1
  }

  /** Its place is taken by the last one. @param {Call} call */
  leave(call) {
    const last = /** @type {Call} */ (this.following.pop())
    if (last === call) return
    this.following[call.place] = last
    last.place = call.place
  }

  /** @param {Call} call */
  handOver(call) {
    const { driver } = this
    const { command, timeoutMs, background } = call.request
    this.leave(call)
    driver.calls.set(call.op, call)
    call.ticket = driver.native.adopt(driver.machine, call.op, command, timeoutMs, background, call.output !== undefined) ?? 0
  }

  /**
   * Makes a call by the plan.
   * @param {Call} call @param {Plan} plan
   */
  async follow(call, plan) {
    const { driver } = this
    this.enter(call)
    driver.look()
    const instance = driver.sandboxes.get(plan.sandbox)
    /** @type {any} */
    let answer
    try {
      driver.busy = true
      try {
        if (plan.start !== null) for (const channel of plan.channels) driver.tell(call, channel, plan.start)
        answer = instance.commands.run(plan.mkdir, { timeoutMs: plan.mkdirLimit, background: false, onStdout: ignore })
      } finally {
        driver.free()
      }
      answer = await answer
    } catch (thrown) {
      return this.failed(call, thrown)
    }
    if (call.settled) return
    if (call.ticket !== 0 || driver.exitCodeOf(answer) !== 0) {
      if (call.ticket === 0) this.handOver(call)
      return driver.helperRan(call.op, call.ticket, answer)
    }
    const output = driver.listen(call, plan.channels)
    let json
    try {
      answer = await instance.commands.run(plan.before + call.request.command, driver.optionsOf(plan.limit, call.request.background, output))
      call.result = answer
      json = JSON.stringify(answer)
    } catch (thrown) {
      output.over = true
      return this.failed(call, thrown)
    }
    if (call.settled) return
    output.answered = true
    if (call.ticket !== 0) return driver.take(driver.native.ran(driver.machine, call.op, call.ticket, driver.exitCodeOf(answer), json))
    this.leave(call)
    driver.busy = true
    try {
      driver.flush(call)
      const end = `${plan.end}${this.literalOf(json ?? 'undefined')}}`
      for (const channel of plan.channels) driver.tell(call, channel, end)
      driver.conclude(call, { value: { sandboxId: plan.sandboxId ?? undefined, ...answer } })
    } finally {
      driver.free()
    }
  }

  /** @param {string} json */
  literalOf(json) {
    if (json.length > SHORT) return JSON.stringify(json)
    if (json !== this.answer) {
      this.answer = json
      this.literal = JSON.stringify(json)
    }
    return this.literal
  }

  /** What fails is the machine's to judge. @param {Call} call @param {unknown} thrown */
  failed(call, thrown) {
    const { driver } = this
    if (call.settled) return
    if (call.ticket === 0) this.handOver(call)
    driver.feed({ input: 'ran', op: call.op, ticket: call.ticket, result: { Err: driver.failure(thrown) } })
  }
}

module.exports = { Planned }
