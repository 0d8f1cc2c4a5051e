'use strict'

/**
 * OpenTelemetry spans of calls. They are made and sent natively, in batches; here is told what happened. Nothing in this file
 * may fail a call or keep a process alive: what goes wrong is one warning of the process per object.
 */

// Loaded by the first service, so that importing stays cheap.
const native = () => require('./loader').native()
/** @returns {typeof import('./operation')} */
const operation = () => require('./operation')
/** @returns {typeof import('./errors')} */
const errors = () => require('./errors')
/** @type {typeof import('./arguments').plain} */
const plain = (...given) => require('./arguments').plain(...given)

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null

/** Milliseconds all objects together may hold up a process that ends by `process.exit()`. */
const EXIT_LIMIT = 2_000

const kService = Symbol('service')

/**
 * @typedef {Record<string, any>} Metadata
 * @typedef {{ provider?: string, model?: string, inputTokens?: number, outputTokens?: number }} GenAi
 * @typedef {{ handle: import('./native').NativeTelemetry | undefined, sessionId: string, warned: boolean }} State
 */

/** @param {TelemetryService} service @returns {State} */
const stateOf = (service) => /** @type {any} */ (service)[kService]

class TelemetryService {
  /**
   * @param {Record<string, any>} config `TelemetryConfig` of `index.d.ts`
   * @param {string} [sessionId]
   * @param {string[]} [secrets] texts that must not be sent
   */
  constructor(config, sessionId = undefined, secrets = []) {
    /** @type {State} */
    const state = { handle: undefined, sessionId: sessionId ?? madeUp(), warned: false }
    errors().set(this, /** @type {any} */ (kService), state)
    state.handle = handleOf(this, config, secrets)
    if (state.handle) alive(this)
  }

  /** @param {string} agentType @param {string} mode @param {string} prompt @param {Metadata} [metadata] @param {GenAi} [genAi] */
  trackStart(agentType, mode, prompt, metadata, genAi) {
    record(this, 'start', agentType, mode, prompt, { metadata, genAi })
  }

  /**
   * @param {string} agentType @param {string} mode @param {string} prompt @param {string} streamData
   * @param {string} [sandboxId] @param {string} [repoUrl] @param {Metadata} [metadata]
   */
  trackStream(agentType, mode, prompt, streamData, sandboxId, repoUrl, metadata) {
    const type = typeOf(streamData)
    record(this, 'stream', agentType, mode, prompt, {
      data: String(streamData), sandboxId, repoUrl, metadata: { dataType: type, ...metadata },
    })
  }

  /**
   * @param {string} agentType @param {string} mode @param {string} prompt
   * @param {string} [sandboxId] @param {string} [repoUrl] @param {Metadata} [metadata] @param {GenAi} [genAi]
   */
  trackEnd(agentType, mode, prompt, sandboxId, repoUrl, metadata, genAi) {
    record(this, 'end', agentType, mode, prompt, { sandboxId, repoUrl, metadata, genAi })
  }

  /**
   * @param {string} agentType @param {string} mode @param {string} prompt @param {string} error
   * @param {Metadata} [metadata] @param {string} [code]
   */
  trackError(agentType, mode, prompt, error, metadata, code) {
    const { errorType = 'Error', ...rest } = metadata ?? {}
    record(this, 'error', agentType, mode, prompt, { message: String(error), errorType: String(errorType), code, metadata: rest })
  }

  /** Sends what is left, and stops. @returns {Promise<void>} */
  async shutdown() {
    const state = stateOf(this)
    await flush(this)
    state.handle = undefined
  }
}

/** @param {TelemetryService} service @param {Record<string, any>} config @param {string[]} secrets */
function handleOf(service, config, secrets) {
  if (!isObject(config) || !(config.isEnabled ?? config.enabled) || !config.endpoint) return undefined
  // One draw per object, all or nothing.
  if (Math.random() >= (config.samplingRatio ?? 1)) return undefined
  const { endpoint, headers, timeout, serviceName, serviceVersion, resourceAttributes } = config
  try {
    const options = plain({ endpoint, headers, timeout, serviceName, serviceVersion, resourceAttributes, process: processFacts(), secrets }, 'telemetry')
    const made = native().telemetry(JSON.stringify(options), JSON.stringify(process.env))
    if (typeof made !== 'string') return made
    warn(service, JSON.parse(made).message)
  } catch (thrown) {
    warn(service, errors().messageOf(thrown))
  }
  return undefined
}

/** What is known of the process. Not its arguments: people put keys there. */
function processFacts() {
  return {
    'host.name': require('node:os').hostname(),
    'host.arch': process.arch,
    'process.pid': String(process.pid),
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
  }
}

/** As the configuration generation made them up. */
const madeUp = () => `vibekit-${Date.now()}-${Math.random().toString(36).slice(2, 11).padEnd(9, '0')}`

/** `type` of a JSON message. @param {unknown} text */
function typeOf(text) {
  try {
    const message = JSON.parse(String(text))
    return typeof message?.type === 'string' ? message.type : 'unknown'
  } catch {
    return 'stream_output'
  }
}

/**
 * @param {TelemetryService} service @param {'start' | 'stream' | 'end' | 'error'} event
 * @param {unknown} agentType @param {unknown} mode @param {unknown} prompt @param {Record<string, any>} more
 */
function record(service, event, agentType, mode, prompt, more) {
  const { handle, sessionId } = stateOf(service)
  if (!handle) return
  try {
    const common = { event, sessionId: String(sessionId), agentType: String(agentType), mode: String(mode), promptLength: String(prompt).length }
    native().telemetryRecord(handle, JSON.stringify(plain({ ...common, ...more }, '')))
  } catch (thrown) {
    warn(service, errors().messageOf(thrown))
  }
}

/** Sends what is there; never rejects. @param {TelemetryService} service @returns {Promise<void>} */
async function flush(service) {
  const { handle } = stateOf(service)
  if (!handle) return
  try {
    await operation().operate((onFrames) => native().telemetryFlush(handle, onFrames), () => {})
  } catch (error) {
    warn(service, errors().messageOf(error))
  }
}

/** @param {TelemetryService} service @param {string} message */
function warn(service, message) {
  const state = stateOf(service)
  if (state.warned) return
  state.warned = true
  process.emitWarning(message, { type: 'VibeKitTelemetryWarning' })
}

// ---- the end of the process ------------------------------------------------------------------------------------------

/** Objects that may have spans left, held weakly: a server makes one per request. @type {Set<WeakRef<TelemetryService>>} */
const services = new Set()

/** @param {TelemetryService} service */
function alive(service) {
  if (services.size === 0) {
    process.on('beforeExit', flushAll)
    process.on('exit', flushAllNow)
  }
  for (const reference of services) if (!reference.deref()) services.delete(reference)
  services.add(new WeakRef(service))
}

/** @returns {TelemetryService[]} */
function take() {
  const all = [...services].flatMap((reference) => reference.deref() ?? [])
  services.clear()
  process.off('beforeExit', flushAll)
  process.off('exit', flushAllNow)
  return all
}

/** The event loop has run dry: there is time to send, once. */
function flushAll() {
  for (const service of take()) void flush(service)
}

/** `process.exit()`: there is no event loop any more. */
function flushAllNow() {
  const end = Date.now() + EXIT_LIMIT
  for (const service of take()) {
    const { handle } = stateOf(service)
    const left = end - Date.now()
    if (handle && left > 0) native().telemetryFlushNow(handle, left)
  }
}

// ---- calls of a VibeKit object -----------------------------------------------------------------------------------------

/** Vendors in the spelling of the semantic conventions, where that differs. */
const VENDORS = { azure: 'azure.ai.openai', gemini: 'gcp.gemini', google: 'gcp.gemini', mistral: 'mistral_ai', xai: 'x_ai' }
const DEFAULT_VENDORS = { claude: 'anthropic', codex: 'openai', gemini: 'gemini', grok: 'xai', opencode: 'openai' }

/**
 * The service of an object, if its user wants one.
 * @param {Record<string, any>} config the object's configuration
 * @returns {TelemetryService | undefined}
 */
function serviceOf(config) {
  const { telemetry } = config
  if (!isObject(telemetry) || !(telemetry.isEnabled ?? telemetry.enabled) || !telemetry.endpoint) return undefined
  const model = isObject(config.agent?.model) ? config.agent.model : {}
  const { agent, github, secrets } = config
  const texts = [
    model.apiKey, model.oauthToken, agent?.apiKey, agent?.providerApiKey, agent?.oauthToken, github?.token,
    ...Object.values(isObject(secrets) ? secrets : {}),
    ...Object.values(isObject(config.environment) ? config.environment : {}).map((one) => one?.apiKey),
    ...Object.values(isObject(telemetry.headers) ? telemetry.headers : {}),
  ]
  return new TelemetryService(telemetry, telemetry.sessionId ?? config.sessionId, texts.filter((text) => typeof text === 'string'))
}

/**
 * A call as spans: its beginning, what its own callbacks get, and its end or failure.
 * @param {TelemetryService} service
 * @param {Record<string, any>} config
 * @param {import('./arguments').Parsed} parsed
 * @param {import('./operation').Deliver} deliver
 * @param {(deliver: import('./operation').Deliver) => Promise<any>} call
 * @param {() => string | null} session
 */
async function measured(service, config, { request, extras }, deliver, call, session) {
  const agent = config.agent ?? {}
  const type = String(agent.type)
  const command = request.call === 'executeCommand'
  const mode = command ? 'ask' : String(request.mode ?? agent.mode ?? 'code')
  const prompt = String(command ? request.command : request.prompt)
  const model = isObject(agent.model) ? agent.model.name : agent.model
  const vendor = (isObject(agent.model) ? agent.model.provider : undefined) ?? agent.provider ?? DEFAULT_VENDORS[/** @type {'codex'} */ (type)]
  const repoUrl = config.github?.repository
  const commandType = command ? 'execute' : undefined
  const history = /** @type {unknown[]} */ (request.history ?? [])
  /** @type {GenAi | undefined} */
  const genAi = command ? undefined : { provider: VENDORS[/** @type {'xai'} */ (vendor)] ?? vendor, model }
  service.trackStart(type, mode, prompt, { repoUrl, model, commandType, hasHistory: command ? undefined : history.length > 0 }, genAi)
  // The one of the two kinds that each message has exactly once.
  const { STDOUT, UPDATE, EVENT } = operation()
  const messages = command && config.fluent ? STDOUT : UPDATE
  let usage = {}
  try {
    const value = await call((kind, text) => {
      deliver(kind, text)
      if (kind === messages && extras.callbacks?.onUpdate) service.trackStream(type, mode, prompt, text, session() ?? '', repoUrl, { commandType })
      else if (kind === EVENT && genAi) usage = usageOf(text) ?? usage
    })
    const lengths = { exitCode: value?.exitCode, stdoutLength: value?.stdout?.length, stderrLength: value?.stderr?.length }
    service.trackEnd(type, mode, prompt, value?.sandboxId, repoUrl, { ...lengths, commandType }, genAi && { ...genAi, ...usage })
    return value
  } catch (error) {
    const message = errors().messageOf(error)
    const { name: errorType = 'Error', code } = isObject(error) ? error : {}
    const details = { errorType, commandType }
    if (extras.callbacks?.onError) service.trackError(type, mode, prompt, message, { ...details, source: `${type}_agent` }, code)
    const sentence = command ? `Command execution failed: ${message}` : `${type} generation failed: ${message}`
    service.trackError(type, mode, prompt, sentence, { ...details, source: 'vibekit' }, code)
    throw error
  }
}

/** Tokens of a turn's last event. @param {string} text */
function usageOf(text) {
  const event = JSON.parse(text)
  if (event.type !== 'finished') return undefined
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens } = event.usage
  return { inputTokens: inputTokens + cachedInputTokens + cacheWriteTokens, outputTokens }
}

module.exports = { TelemetryService, serviceOf, measured }
