'use strict'

/**
 * What native providers do as objects of their own (`providers.js` has their classes), and their sandboxes. `withSandbox()`
 * recognises such an object, goes around this file and drives it natively.
 */

const { native } = require('./loader')
const { operate, STDOUT, STDERR } = require('./operation')
const { nativeProviderOf, kProvider } = require('./setup')
const { revive, set, wrongType, wrongValue } = require('./errors')
const {
  encode, plain, text, optionalText, flag, count, environment, signalOf, optionsOf, isObject, absent,
  TIMEOUT_HINT, BYTES_HINT,
} = require('./arguments')

const kSandbox = Symbol('sandbox')

/** @typedef {import('./native').NativeSandbox} NativeSandbox */

const nothing = () => {}

/**
 * Gives an object its native side.
 * @param {object} provider @param {string} name as in `environment.<name>` @param {unknown} options its user's
 */
function connect(provider, name, options) {
  if (!isObject(options) || Array.isArray(options)) {
    throw revive(wrongType('options', 'an object', options, 'Leave them out for the defaults.'))
  }
  const handle = native().provider(name, JSON.stringify(plain(options, 'options')), JSON.stringify(process.env))
  if (typeof handle === 'string') throw revive(JSON.parse(handle))
  set(provider, /** @type {any} */ (kProvider), handle)
}

/**
 * @param {object} provider @param {unknown} envs @param {unknown} agentType @param {unknown} workingDirectory
 * @returns {Promise<NativeSandboxObject>}
 */
async function create(provider, envs, agentType, workingDirectory) {
  return open(provider, {
    env: environment('envs', envs) ?? [],
    agent: optionalText('agentType', agentType, 'Pass the type of an agent, or nothing.') ?? '',
    workingDirectory: optionalText('workingDirectory', workingDirectory, 'Pass an absolute path inside the sandbox.') ?? '/vibe0',
  })
}

/** @param {object} provider @param {unknown} sandboxId @returns {Promise<NativeSandboxObject>} */
async function resume(provider, sandboxId) {
  const id = text('sandboxId', sandboxId, 'Pass the `sandboxId` of a sandbox created before.')
  return open(provider, { resume: id, env: [], agent: '', workingDirectory: '/vibe0' })
}

/** @param {object} provider @returns {Promise<Record<string, unknown>>} */
async function probe(provider) {
  const handle = /** @type {import('./native').NativeProvider} */ (nativeProviderOf(provider))
  const { value } = await operate((onFrames) => native().providerProbe(handle, onFrames), nothing)
  return value
}

/** @param {object} provider @param {Record<string, unknown>} request */
async function open(provider, request) {
  const handle = /** @type {import('./native').NativeProvider} */ (nativeProviderOf(provider))
  const { id, value } = await operate((onFrames) => native().providerOpen(handle, encode(request), onFrames), nothing)
  return new NativeSandboxObject(/** @type {NativeSandbox} */ (native().takeSandbox(id)), value)
}

class NativeSandboxObject {
  /** @param {NativeSandbox} sandbox @param {{ sandboxId: string, processesLost: boolean }} opened */
  constructor(sandbox, { sandboxId, processesLost }) {
    set(this, /** @type {any} */ (kSandbox), sandbox)
    this.sandboxId = sandboxId
    this.processesLost = processesLost
    this.commands = new Commands(sandbox)
    this.files = new Files(sandbox)
  }

  async kill() {
    await perform(this, { call: 'kill' })
  }

  async pause() {
    await perform(this, { call: 'pause' })
  }

  async resume() {
    await perform(this, { call: 'thaw' })
  }

  /** @param {unknown} port @returns {Promise<string>} */
  async getHost(port) {
    if (typeof port !== 'number') throw revive(wrongType('port', 'a number', port, 'Pass the port the server inside listens on.'))
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw revive(wrongValue('port', 'from 1 to 65535', port, 'Pass the port the server inside listens on.'))
    }
    return perform(this, { call: 'host', port })
  }

  /** Lets go of the sandbox; it ends only if it is ephemeral. */
  async release() {
    await perform(this, { call: 'release' })
  }
}

class Commands {
  /** @param {NativeSandbox} sandbox */
  constructor(sandbox) {
    set(this, /** @type {any} */ (kSandbox), sandbox)
  }

  /**
   * @param {unknown} command a line for the shell, or a program and its arguments
   * @param {unknown} [given] `NativeCommandOptions` of `index.d.ts`
   * @returns {Promise<any>}
   */
  async run(command, given) {
    const options = optionsOf('run', given)
    const signal = signalOf(options.signal)
    const [onStdout, onStderr] = ['onStdout', 'onStderr'].map((name) => listener(name, options[name]))
    const bytes = bytesOf(options.stdin)
    const request = {
      call: 'run',
      ...programOf(command),
      env: environment('env', options.env),
      cwd: optionalText('cwd', options.cwd, 'Pass a path inside the sandbox.'),
      stdin: bytes ? undefined : optionalText('stdin', options.stdin, 'Pass text or bytes for standard input.'),
      pipeStdin: bytes !== undefined,
      timeoutMs: count('timeoutMs', options.timeoutMs, TIMEOUT_HINT),
      background: flag('background', options.background),
      readOnly: flag('readOnly', options.readOnly),
      maxOutputBytes: count('maxOutputBytes', options.maxOutputBytes, BYTES_HINT),
      stream: onStdout !== undefined || onStderr !== undefined,
    }
    const addon = native()
    const { value } = await operate(
      (onFrames) => {
        const id = addon.sandboxStart(sandboxOf(this), encode(request), onFrames)
        if (bytes) {
          addon.sandboxInput(id, bytes)
          addon.sandboxInput(id, null)
        }
        return id
      },
      (kind, chunk) => {
        if (kind === STDOUT) onStdout?.(chunk)
        else if (kind === STDERR) onStderr?.(chunk)
      },
      signal,
      (id) => addon.sandboxCancel(id),
    )
    return value
  }
}

class Files {
  /** @param {NativeSandbox} sandbox */
  constructor(sandbox) {
    set(this, /** @type {any} */ (kSandbox), sandbox)
  }

  /**
   * @param {unknown} path
   * @param {unknown} [encoding] as in `fs.readFile`: bytes without one
   * @returns {Promise<Buffer | string>}
   */
  async read(path, encoding) {
    const wanted = optionalText('encoding', encoding, 'Pass "utf8", or nothing for bytes.')
    if (wanted !== undefined && !Buffer.isEncoding(wanted)) {
      throw revive(wrongValue('encoding', 'one of Node.js', wanted, 'Pass "utf8", or nothing for bytes.'))
    }
    const name = pathOf(path)
    const { id } = await operate((onFrames) => native().sandboxRead(sandboxOf(this), name, onFrames), nothing)
    const content = /** @type {Buffer} */ (native().takeBytes(id))
    return wanted === undefined ? content : content.toString(wanted)
  }

  /** @param {unknown} path @param {unknown} content */
  async write(path, content) {
    const name = pathOf(path)
    const bytes = typeof content === 'string' ? Buffer.from(content) : bytesOf(content)
    if (!bytes) throw revive(wrongType('content', 'a string or a Uint8Array', content, 'Pass the whole content of the file.'))
    await operate((onFrames) => native().sandboxWrite(sandboxOf(this), name, bytes, onFrames), nothing)
  }

  /** @param {unknown} [path] @returns {Promise<Array<{ name: string, kind: string, size: number }>>} */
  async list(path = '.') {
    return perform(this, { call: 'list', path: pathOf(path) })
  }

  /** @param {unknown} path */
  async remove(path) {
    await perform(this, { call: 'remove', path: pathOf(path) })
  }
}

// Missing in the realms some test runners make on older versions of Node.js.
if (Symbol.asyncDispose) {
  Object.defineProperty(NativeSandboxObject.prototype, Symbol.asyncDispose, {
    value: NativeSandboxObject.prototype.release,
    configurable: true,
    writable: true,
  })
}

/** @param {object} owner @returns {NativeSandbox} */
const sandboxOf = (owner) => /** @type {any} */ (owner)[kSandbox]

/** @param {object} owner @param {Record<string, unknown>} request @returns {Promise<any>} */
async function perform(owner, request) {
  const { value } = await operate((onFrames) => native().sandboxStart(sandboxOf(owner), encode(request), onFrames), nothing)
  return value
}

/** @param {unknown} command @returns {{ command: string } | { program: string, args: string[] }} */
function programOf(command) {
  const hint = 'Pass a line for the shell, or an array of the program and its arguments.'
  if (!Array.isArray(command)) return { command: text('command', command, hint) }
  const [program, ...args] = command.map((part, index) => text(`command[${index}]`, part, hint))
  if (program === undefined) throw revive(wrongValue('command', 'a program and its arguments', command, hint))
  return { program, args }
}

/** @param {unknown} path @returns {string} */
const pathOf = (path) => text('path', path, 'Pass a path inside the sandbox.').toWellFormed()

/** @param {unknown} value @returns {Uint8Array | undefined} */
function bytesOf(value) {
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined
}

/** @param {string} name @param {unknown} value @returns {((chunk: string) => void) | undefined} */
function listener(name, value) {
  if (absent(value)) return undefined
  if (typeof value !== 'function') throw revive(wrongType(name, 'a function', value, 'Pass a function that takes a string.'))
  return /** @type {(chunk: string) => void} */ (value)
}

/** The object of a sandbox that a machine has opened. @param {NativeSandbox | null} sandbox @returns {NativeSandboxObject | undefined} */
function sandboxObject(sandbox) {
  return sandbox === null ? undefined : new NativeSandboxObject(sandbox, JSON.parse(native().describeSandbox(sandbox)))
}

module.exports = { connect, create, resume, probe, sandboxObject }
