'use strict'

const { EventEmitter } = require('node:events')

// What only an object that is used needs is loaded when one is, so that importing stays cheap: the files are most of that. What
// every call needs is kept, because `require` looks it up anew.
const native = () => require('./loader').native()
/** @type {typeof import('./arguments') | undefined} */
let loadedArguments
const parse = () => (loadedArguments ??= require('./arguments'))
/** @type {typeof import('./operation') | undefined} */
let loadedOperation
const operation = () => (loadedOperation ??= require('./operation'))
/** @returns {typeof import('./errors')} */
const errors = () => require('./errors')
/** @type {typeof import('./setup').setupOf} */
const setupOf = (...given) => require('./setup').setupOf(...given)
/** @param {ConstructorParameters<typeof import('./drive').ProviderDriver>} given */
const providerDriver = (...given) => new (require('./drive').ProviderDriver)(...given)

const DEPRECATED =
  '⚠️  generateCode() is deprecated and will be removed in a future version. ' +
  'Please use executeCommand() instead for better flexibility and control.'

/**
 * Where an object keeps its state: a property that does not show up in listings, comparisons and logs, and unlike a
 * `#private` one works through proxies.
 */
const kState = Symbol('state')

/**
 * @typedef {object} State
 * @property {boolean} fluent made without a configuration
 * @property {unknown} config what the constructor got
 * @property {boolean} ready the agent was found usable; `session` holds
 * @property {string | null} session
 * @property {import('./telemetry').TelemetryService} [telemetry] what spans go to
 * @property {import('./agents').BaseAgent} [agent] the agent that made this object for itself
 * @property {Driver | undefined} driver made by the first call that works
 *
 * @typedef {object} Driver
 * @property {(parsed: import('./arguments').Parsed, deliver: import('./operation').Deliver) => Promise<any>} call makes a call, gives its value
 * @property {(parsed: import('./arguments').Parsed, deliver: import('./operation').Deliver) => Promise<import('./operation').Outcome>} start the same, without making an error of a failure
 * @property {(ticket: number) => any} sandbox the sandbox a finished `getSandbox` call named
 */

/** There is no detection of test runners: the agent finds out (upstream's own words). */
const TESTS_PROMPT = 'Install dependencies and run tests'

/** @param {VibeKit} vibeKit @returns {State} */
const stateOf = (vibeKit) => /** @type {any} */ (vibeKit)[kState]

class VibeKit extends EventEmitter {
  /** @param {unknown} [config] */
  constructor(config = undefined) {
    super()
    // A platform without a binary is reported where the program starts, not at the first call. Nothing else is done here.
    native()
    /** @type {import('./setup').Options} */
    this.options = {}
    /** Made by the first call that works. @type {import('./agents').BaseAgent | undefined} */
    this.agent = undefined
    /** @type {State} */
    const state = { fluent: config === undefined, config, ready: false, session: null, driver: undefined }
    Object.defineProperty(this, kState, { value: state })
  }

  // The setters store and check nothing; what they set is read by the first call that needs it, and not after.

  /** @param {unknown} agent @returns {this} */
  withAgent(agent) {
    return configure(this, 'agent', agent)
  }

  /** @param {unknown} provider @returns {this} */
  withSandbox(provider) {
    return configure(this, 'sandbox', provider)
  }

  /** @param {unknown} github @returns {this} */
  withGithub(github) {
    return configure(this, 'github', github)
  }

  /** The spelling of older documentation. @param {unknown} github @returns {this} */
  withGitHub(github) {
    return configure(this, 'github', github)
  }

  /** @param {unknown} path @returns {this} */
  withWorkingDirectory(path) {
    return configure(this, 'workingDirectory', path)
  }

  /** @param {unknown} secrets @returns {this} */
  withSecrets(secrets) {
    return configure(this, 'secrets', secrets)
  }

  /**
   * Branches get directories of their own.
   * @param {{ root?: unknown, cleanup?: unknown }} [options]
   * @returns {this}
   */
  withWorktrees(options = {}) {
    return configure(this, 'worktrees', { enabled: true, root: options.root, cleanup: options.cleanup })
  }

  /** @param {unknown} sandboxId @returns {this} */
  withSession(sandboxId) {
    return configure(this, 'sandboxId', sandboxId)
  }

  /** @param {unknown} telemetry @returns {this} */
  withTelemetry(telemetry) {
    return configure(this, 'telemetry', telemetry)
  }

  /**
   * The session id is kept here, by the frames that change it, so nothing has to be asked.
   * @returns {Promise<string | null>}
   */
  async getSession() {
    const state = stateOf(this)
    if (!state.ready) checkSession(this)
    return state.session
  }

  /** @param {unknown} sessionId @param {unknown} [options] @returns {Promise<void>} */
  async setSession(sessionId, options) {
    const state = stateOf(this)
    if (!state.ready) checkSession(this)
    const hint = 'Pass the id getSession() gave.'
    const id = parse().text('sessionId', sessionId, hint)
    if (id === '') throw errors().revive(errors().wrong('INVALID_ARGUMENT', 'sessionId', 'must not be empty', hint))
    if (!state.driver) {
      this.options.sandboxId = id
      state.session = id
      return
    }
    // Effective at once, also for a caller that does not wait.
    const former = state.session
    state.session = id
    try {
      await simple(this, { call: 'setSession', id }, options)
    } catch (error) {
      if (state.session === id) state.session = former
      throw error
    }
  }

  /** @param {unknown[]} parameters @returns {Promise<any>} */
  async generateCode(...parameters) {
    const driver = work(this)
    const parsed = parse().generateCode(parameters)
    // eslint-disable-next-line no-console -- upstream's warning, the only thing this library ever prints
    if (isCommandFlow(this, parsed) && !process.env.VIBEKIT_NO_DEPRECATION) console.warn(DEPRECATED)
    return report(this, parsed, measure(this, driver, parsed))
  }

  /** @param {unknown} [options] @returns {Promise<any>} */
  async runTests(options) {
    const driver = work(this)
    const parsed = parse().generateCode([{ ...parse().optionsOf('runTests', options), prompt: TESTS_PROMPT, mode: 'code' }])
    parsed.request.agentLevel = true
    return report(this, parsed, driver.call(parsed, delivery(this, parsed)))
  }

  /** @param {unknown} command @param {unknown} [options] @returns {Promise<any>} */
  async executeCommand(command, options) {
    const driver = work(this)
    const parsed = parse().executeCommand(command, options)
    if (stateOf(this).telemetry) return report(this, parsed, measure(this, driver, parsed))
    if (parsed.request.branch) note(this, parsed)
    const outcome = await driver.start(parsed, delivery(this, parsed))
    // A promise less than `report` takes, in the call that is made most.
    return 'value' in outcome ? operation().conclude(outcome, parsed.extras.signal) : report(this, parsed, failed(outcome, parsed.extras.signal))
  }

  /**
   * Commits what changed to a new branch, pushes it and opens a pull request.
   * @param {unknown[]} parameters
   * @returns {Promise<any>}
   */
  async createPullRequest(...parameters) {
    const driver = work(this)
    const parsed = parse().createPullRequest(parameters)
    const answer = await driver.call(parsed, delivery(this, parsed))
    return Object.fromEntries(PULL_REQUEST.map((key) => [key, answer[key]]))
  }

  /** @param {unknown} [branch] @param {unknown} [options] @returns {Promise<void>} */
  async pushToBranch(branch, options) {
    const driver = work(this)
    const parsed = parse().pushToBranch(branch, options)
    await driver.call(parsed, delivery(this, parsed))
  }

  /**
   * Needs neither agent nor sandbox, so it has a machine of its own; token and secrets are those of this moment.
   * @param {unknown} options
   * @returns {Promise<any>}
   */
  async mergePullRequest(options) {
    const parsed = parse().mergePullRequest(options)
    const state = stateOf(this)
    if (!state.fluent) checkSession(this)
    const { json, secrets } = setup(this, true)
    const addon = native()
    const machine = addon.machine(json)
    if (typeof machine === 'string') throw errors().revive(JSON.parse(machine))
    return providerDriver(addon, machine, undefined, secrets, NOBODY).call(parsed, () => {})
  }

  /** @param {unknown} repository @param {unknown} [directory] @param {unknown} [options] @returns {Promise<void>} */
  async cloneRepository(repository, directory, options) {
    const driver = work(this)
    const parsed = parse().cloneRepository(repository, directory, options)
    // Upstream reads these anew for each clone.
    const { secrets, workingDirectory } = this.options
    const token = parse().isObject(secrets) ? secrets.GH_TOKEN : undefined
    if (typeof token === 'string') parsed.request.token = token
    if (!parsed.request.directory && typeof workingDirectory === 'string') parsed.request.directory = workingDirectory
    await driver.call(parsed, delivery(this, parsed))
  }

  /** @param {unknown} token */
  setGithubToken(token) {
    setGithub(this, 'token', token)
  }

  /** @param {unknown} repository */
  setGithubRepository(repository) {
    setGithub(this, 'repository', repository)
  }

  /** @param {unknown} [options] @returns {Promise<void>} */
  async kill(options) {
    if (hasWork(this)) await simple(this, { call: 'kill' }, options)
  }

  /** @param {unknown} [options] @returns {Promise<void>} */
  async pause(options) {
    if (hasWork(this)) await simple(this, { call: 'pause' }, options)
  }

  /** @param {unknown} [options] @returns {Promise<void>} */
  async resume(options) {
    if (hasWork(this)) await simple(this, { call: 'resume' }, options)
  }

  /** @param {unknown} port @param {unknown} [options] @returns {Promise<string>} */
  async getHost(port, options) {
    // JavaScript providers get the argument as it is, whatever it is; the machine can only carry what JSON can.
    const carried = typeof port === 'number' || typeof port === 'string' ? port : null
    return simple(this, { call: 'getHost', port: carried }, options, port)
  }

  /**
   * Stops what runs and lets go of the session, which another process may then take; an ephemeral one ends.
   * @returns {Promise<void>}
   */
  async dispose() {
    const { driver, telemetry } = stateOf(this)
    if (driver) await simple(this, { call: 'dispose' })
    await telemetry?.shutdown()
  }
}

// Missing in the realms some test runners make on older versions of Node.js.
if (Symbol.asyncDispose) {
  Object.defineProperty(VibeKit.prototype, Symbol.asyncDispose, {
    value: VibeKit.prototype.dispose,
    configurable: true,
    writable: true,
  })
}

/** Of a machine without a sandbox. */
const NOBODY = { onSession() {}, onSandbox() {}, variables: () => ({}) }

/** What a pull request resolves with, in upstream's order. */
const PULL_REQUEST = [
  'id', 'number', 'state', 'title', 'body', 'html_url', 'head', 'base', 'user', 'created_at', 'updated_at', 'merged',
  'mergeable', 'merge_commit_sha', 'branchName', 'commitSha',
]

/**
 * Changes one half of what is known of GitHub, effective at once; the other half stays, or is empty.
 * @param {VibeKit} vibeKit @param {'token' | 'repository'} half @param {unknown} value
 */
function setGithub(vibeKit, half, value) {
  const text = parse().text(half, value, half === 'token' ? 'Pass a token of GitHub.' : 'Pass the repository as "owner/repo".')
  const state = stateOf(vibeKit)
  const { config } = state
  const known = vibeKit.options.github ?? (parse().isObject(config) ? config.github : undefined)
  const github = { token: '', repository: '', ...(parse().isObject(known) ? known : {}), [half]: text }
  vibeKit.options.github = github
  if (parse().isObject(config)) config.github = github
  if (!state.driver) {
    state.ready = false
    return
  }
  const request = { call: 'setGithub', [half]: text }
  // It is effective with the call; its promise only says so.
  void state.driver.call({ request, extras: {} }, () => {})
}

/**
 * @template {VibeKit} T
 * @param {T} vibeKit @param {keyof import('./setup').Options} field @param {unknown} value
 * @returns {T}
 */
function configure(vibeKit, field, value) {
  vibeKit.options[field] = value
  const state = stateOf(vibeKit)
  if (!state.driver) state.ready = false
  return vibeKit
}

/**
 * Reads what was configured. Something in it that is no plain data counts like anything else that is wrong with it.
 * @param {VibeKit} vibeKit @param {boolean} [detached] for a machine without a sandbox
 */
function setup(vibeKit, detached = false) {
  const { fluent, config } = stateOf(vibeKit)
  try {
    return setupOf(fluent, config, vibeKit.options, detached)
  } catch (cause) {
    if (fluent) throw cause
    const failure = { code: 'AGENT_NOT_INITIALIZED', message: 'Agent not initialized', retryable: false }
    const error = errors().revive(failure)
    Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
    throw error
  }
}

/** Throws if the session may not be used yet. @param {VibeKit} vibeKit */
function checkSession(vibeKit) {
  const state = stateOf(vibeKit)
  const { json, sessionId } = setup(vibeKit)
  const failure = native().check(json, 'session')
  if (failure !== null) throw errors().revive(JSON.parse(failure))
  state.session = sessionId
  state.ready = true
}

/**
 * The driver, made by the first call that works. A setup that cannot work is looked at again by the next one.
 * @param {VibeKit} vibeKit
 */
function work(vibeKit) {
  const state = stateOf(vibeKit)
  if (state.driver) return state.driver
  const addon = native()
  const { json, sandbox, provider, secrets, sessionId } = setup(vibeKit)
  const failure = addon.check(json, 'work')
  if (failure !== null) throw errors().revive(JSON.parse(failure))
  const machine = addon.machine(json, provider)
  if (typeof machine === 'string') throw errors().revive(JSON.parse(machine))
  const javascript = provider === null && sandbox !== undefined && sandbox !== null
  state.driver = javascript
    ? providerDriver(addon, machine, sandbox, secrets, {
        onSession: (id) => (state.session = id),
        onSandbox(instance) {
          if (vibeKit.agent) vibeKit.agent.sandboxInstance = instance
        },
        variables: () => vibeKit.agent?.getEnvironmentVariables() ?? {},
      })
    : operation().nativeDriver(addon, machine)
  state.session = sessionId
  state.ready = true
  const config = configurationOf(vibeKit)
  if (config.telemetry) state.telemetry = require('./telemetry').serviceOf(config)
  vibeKit.agent = state.agent ?? require('./agents').agentOf(vibeKit, config)
  return state.driver
}

/** The configuration under what the setters set. @param {VibeKit} vibeKit @returns {Record<string, any>} */
function configurationOf(vibeKit) {
  const { config } = stateOf(vibeKit)
  const { sandboxId, ...options } = vibeKit.options
  const base = typeof config === 'object' && config !== null ? config : {}
  return { ...base, ...options, sessionId: sandboxId ?? /** @type {any} */ (base).sessionId }
}

/** The sandbox itself, opened if there is none. @param {VibeKit} vibeKit @returns {Promise<any>} */
async function sandboxOf(vibeKit) {
  const driver = work(vibeKit)
  const parsed = { request: { call: 'getSandbox' }, extras: {} }
  return driver.sandbox(await driver.call(parsed, delivery(vibeKit, parsed)))
}

/**
 * Whether there is anything to kill, pause or resume. A fluent object that nothing was done with has nothing, and says so
 * without an error even if it could not work.
 * @param {VibeKit} vibeKit
 */
function hasWork(vibeKit) {
  const { driver, fluent } = stateOf(vibeKit)
  const { agent, sandbox, sandboxId } = vibeKit.options
  return driver !== undefined || !fluent || Boolean(agent && sandbox && sandboxId)
}

/**
 * A call without output of its own.
 * @param {VibeKit} vibeKit @param {Record<string, unknown>} request @param {unknown} [options] @param {unknown} [port]
 */
async function simple(vibeKit, request, options, port) {
  const driver = work(vibeKit)
  const signal = parse().signalOf(parse().optionsOf(String(request.call), options).signal)
  const parsed = { request, extras: { signal, port } }
  return driver.call(parsed, delivery(vibeKit, parsed))
}

/**
 * Whether a call behaves like a command of the fluent generation: failures in `stderr`. The others, which have an
 * `error` message for that, are those of objects made from a configuration and `generateCode()` with a repository.
 * @param {VibeKit} vibeKit
 * @param {import('./arguments').Parsed} parsed
 */
function isCommandFlow(vibeKit, { request }) {
  return stateOf(vibeKit).fluent && !(request.call === 'generateCode' && (request.agentLevel || vibeKit.options.github))
}

/**
 * Makes a call, as spans if its user wants that.
 * @param {VibeKit} vibeKit @param {NonNullable<State['driver']>} driver @param {import('./arguments').Parsed} parsed
 * @returns {Promise<any>}
 */
function measure(vibeKit, driver, parsed) {
  const state = stateOf(vibeKit)
  const deliver = delivery(vibeKit, parsed)
  if (!state.telemetry) return driver.call(parsed, deliver)
  const { measured } = require('./telemetry')
  const config = { ...configurationOf(vibeKit), fluent: state.fluent }
  return measured(state.telemetry, config, parsed, deliver, (listen) => driver.call(parsed, listen), () => state.session)
}

/** @param {VibeKit} vibeKit @param {import('./arguments').Parsed} parsed */
function note({ agent }, { request }) {
  if (agent && request.branch) agent.currentBranch = String(request.branch)
}

/**
 * Keeps what upstream keeps on the agent: the branch a call was told, and the prompt of one that succeeded.
 * @param {VibeKit} vibeKit @param {import('./arguments').Parsed} parsed @param {Promise<any>} outcome
 */
async function noted(vibeKit, parsed, outcome) {
  const { agent } = vibeKit
  const { request } = parsed
  note(vibeKit, parsed)
  const value = await outcome
  if (agent && request.call === 'generateCode') agent.lastPrompt = String(request.prompt)
  return value
}

/**
 * Tells a call's own `onError` about the failure where the machine has no message for that.
 * @param {VibeKit} vibeKit
 * @param {import('./arguments').Parsed} parsed
 * @param {Promise<any>} outcome
 */
async function report(vibeKit, parsed, outcome) {
  const { callbacks, signal } = parsed.extras
  if (!callbacks?.onError || !isCommandFlow(vibeKit, parsed)) return noted(vibeKit, parsed, outcome)
  try {
    return await noted(vibeKit, parsed, outcome)
  } catch (error) {
    if (!signal?.aborted) callbacks.onError(errors().messageOf(error))
    throw error
  }
}

/** @param {import('./operation').Outcome} outcome @param {AbortSignal} [signal] */
const failed = async (outcome, signal) => operation().conclude(outcome, signal)

/**
 * Where the deliveries of one call go: to the listeners, then to the call's own callbacks.
 * @param {VibeKit} vibeKit
 * @param {import('./arguments').Parsed} parsed
 * @returns {import('./operation').Deliver}
 */
function delivery(vibeKit, { request, extras: { callbacks } }) {
  // Commands of fluent objects have no `update` events; their callbacks get the same messages all the same.
  const { STDOUT, STDERR, UPDATE, ERROR, EVENT, SESSION, OBJECT } = operation()
  const updates = stateOf(vibeKit).fluent && request.call === 'executeCommand' ? STDOUT : UPDATE
  return (kind, text) => {
    switch (kind) {
      case STDOUT:
        vibeKit.emit('stdout', text)
        break
      case STDERR:
        vibeKit.emit('stderr', text)
        break
      case UPDATE:
        vibeKit.emit('update', text)
        break
      case ERROR:
        // An emitter throws for an `error` nobody listens to; the rejection says it anyway.
        if (vibeKit.listenerCount('error') > 0) vibeKit.emit('error', text)
        callbacks?.onError?.(text)
        return
      case EVENT:
        if (vibeKit.listenerCount('event') > 0) vibeKit.emit('event', JSON.parse(text))
        return
      case OBJECT:
        vibeKit.emit('stdout', JSON.parse(text))
        return
      case SESSION:
        stateOf(vibeKit).session = text === '' ? null : text
        return
    }
    if (kind === updates) callbacks?.onUpdate?.(text)
  }
}

/** What the agents' classes need of an object. */
const internals = {
  TESTS_PROMPT,
  configurationOf,
  sandbox: sandboxOf,

  /** The object belongs to an agent instead of having one. @param {VibeKit} vibeKit @param {import('./agents').BaseAgent} agent */
  ownAgent(vibeKit, agent) {
    stateOf(vibeKit).agent = agent
  },

  /** A call whose deliveries go elsewhere. @param {VibeKit} vibeKit @param {import('./arguments').Parsed} parsed @param {import('./operation').Deliver} deliver */
  async perform(vibeKit, parsed, deliver) {
    return noted(vibeKit, parsed, work(vibeKit).call(parsed, deliver))
  },

  /** Whether a call's messages are `update` events. @param {VibeKit} vibeKit @param {import('./arguments').Parsed} parsed */
  hasUpdates: (vibeKit, { request }) => !(stateOf(vibeKit).fluent && request.call === 'executeCommand'),

  /** @param {VibeKit} vibeKit @param {string} id */
  session(vibeKit, id) {
    stateOf(vibeKit).session = id === '' ? null : id
  },

  /** @param {VibeKit} vibeKit @param {unknown} prompt @param {unknown} mode @returns {string} */
  shellCommand(vibeKit, prompt, mode) {
    const text = parse().text('prompt', prompt, 'Pass what the agent is to do.')
    return native().shellCommand(setup(vibeKit).json, text.toWellFormed(), mode === 'ask') ?? ''
  },
}

module.exports = { VibeKit, internals }
