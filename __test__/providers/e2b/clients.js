'use strict'

/**
 * Clients of E2B behind one face, so that one suite runs over all of them:
 *
 * client: `create(env)`, `connect(id)`, `reasonOf(error)` (one of `exit`, `timeout`, `key`, `template`, `missing`, `gone`, `cwd`,
 * `rate`, `busy`), `has` (what not all can do).
 * sandbox: `id`, `run(command, options)`, `pause()`, `kill()`, `host(port)`, and by `has`: `input(command, bytes)`,
 * `background(command)`, `write(path, bytes)`, `read(path)`, `list(path)`, `as(user)`.
 */

const path = require('node:path')
const { createE2BProvider } = require('vibekit-native')

const KEY = `e2b_${'0123456789abcdef'.repeat(2)}`
const HOUR = 3_600_000

/** The words of `reasonOf` for errors of the official clients. */
function officialReason(error) {
  const text = `${error.name}: ${error.message}`
  if (error.name === 'CommandExitError') return 'exit'
  if (/exceeding 'timeoutMs'|deadline/i.test(text)) return 'timeout'
  if (/AuthenticationError|401:/.test(text)) return /username/.test(text) ? 'user' : 'key'
  if (/template '.*' not found/.test(text)) return 'template'
  if (/not running anymore|was killed or reached its end/.test(text)) return 'gone'
  if (/cwd '.*' does not exist/.test(text)) return 'cwd'
  if (/NotFoundError/.test(text)) return 'missing'
  if (/Rate limit/i.test(text)) return 'rate'
  if (/ServiceBusy|503:/.test(text)) return 'busy'
  return text
}

/** The module of the published client. What it colours the log of template builds with is an ES module, which Jest cannot load. */
function publishedClient() {
  jest.doMock(require.resolve('chalk', { paths: [path.dirname(require.resolve('e2b'))] }), () => ({ dim: String, gray: String, red: String, hex: () => String }))
  return require('e2b')
}

/** The published client. */
function official(double) {
  const { Sandbox } = publishedClient()
  const where = { apiKey: KEY, apiUrl: double.url, sandboxUrl: double.url }
  const dress = (sandbox) => ({
    id: sandbox.sandboxId,
    sandbox,
    run: (command, { env, ...options } = {}) => sandbox.commands.run(command, { envs: env, ...options }),
    as: (user) => sandbox.commands.run('echo ran', { user }),
    async input(command, bytes) {
      const handle = await sandbox.commands.run(command, { background: true, stdin: true, timeoutMs: 0 })
      await handle.sendStdin(bytes)
      await handle.closeStdin()
      return handle.wait()
    },
    background: (command) => sandbox.commands.run(command, { background: true, timeoutMs: 0 }),
    write: (path, bytes) => sandbox.files.write(path, new Blob([bytes])),
    read: async (path) => Buffer.from(await sandbox.files.read(path, { format: 'bytes' })),
    list: async (path) => (await sandbox.files.list(path)).map(({ name, type, size }) => ({ name, kind: type === 'dir' ? 'directory' : type, size })),
    pause: () => sandbox.pause(),
    kill: () => sandbox.kill(),
    host: (port) => sandbox.getHost(port),
  })
  return {
    create: async (env, more) => dress(await Sandbox.create('vibekit-codex', { ...where, envs: env, timeoutMs: HOUR, ...more })),
    connect: async (id, more) => dress(await Sandbox.connect(id, { ...where, timeoutMs: HOUR, ...more })),
    template: (name) => Sandbox.create(name, where),
    reasonOf: officialReason,
    has: { input: true, background: true, files: true, user: true, options: true, domain: 'e2b.app', text: true, retries: true },
  }
}

/** Upstream's provider, with the client inside it. Needs `detour()`. */
function published() {
  const { createE2BProvider: create } = require('@vibe-kit/e2b')
  const dress = (instance) => ({
    id: instance.sandboxId,
    run: (command, { env, ...options } = {}) => instance.commands.run(command, { envs: env, ...options }),
    pause: () => instance.pause(),
    kill: () => instance.kill(),
    host: (port) => instance.getHost(port),
  })
  return {
    create: async (env, { apiKey = KEY } = {}) => dress(await create({ apiKey }).create(env, 'codex', '/vibe0')),
    connect: async (id, { apiKey = KEY } = {}) => dress(await create({ apiKey }).resume(id)),
    template: (templateId) => create({ apiKey: KEY, templateId }).create(),
    reasonOf: officialReason,
    has: { input: false, background: false, files: false, user: false, options: true, domain: 'e2b.dev', text: false },
  }
}

/** Codes of ours in the words of the suite. */
const REASONS = {
  TIMEOUT: 'timeout',
  AUTHENTICATION_FAILED: 'key',
  TEMPLATE_NOT_FOUND: 'template',
  SESSION_NOT_FOUND: 'missing',
  SANDBOX_LOST: 'gone',
  RATE_LIMITED: 'rate',
  CONCURRENCY_LIMIT: 'rate',
}

function ourReason(error) {
  if (error.name === 'CommandExitError') return 'exit'
  if (error.reason === 'working_directory') return 'cwd'
  if (error.code === 'INVALID_ARGUMENT' && /username/.test(error.message)) return 'user'
  if (error.code === 'FILE_ERROR' && error.reason === 'not_found') return 'missing'
  if (error.code === 'PROVIDER_FAILED' && error.retryable && /place sandbox/.test(error.message)) return 'busy'
  return REASONS[error.code] ?? `${error.code}: ${error.message}`
}

/** This package. */
function ours(double) {
  const make = (more) => createE2BProvider({ apiKey: KEY, apiUrl: double.url, sandboxUrl: double.url, ...more })
  const dress = (sandbox) => ({
    id: sandbox.sandboxId,
    sandbox,
    run: (command, options) => sandbox.commands.run(command, options),
    async as(user) {
      const other = await make({ user }).resume(sandbox.sandboxId)
      try {
        return await other.commands.run('echo ran', { cwd: '/' })
      } finally {
        await other.release()
      }
    },
    input: (command, bytes) => sandbox.commands.run(command, { stdin: bytes }),
    background: (command) => sandbox.commands.run(command, { background: true }),
    write: (path, bytes) => sandbox.files.write(path, bytes),
    read: (path) => sandbox.files.read(path),
    list: (path) => sandbox.files.list(path),
    pause: () => sandbox.pause(),
    kill: () => sandbox.kill(),
    host: (port) => sandbox.getHost(port),
  })
  return {
    create: async (env, more) => dress(await make(more).create(env, 'codex', '/vibe0')),
    connect: async (id, more) => dress(await make(more).resume(id)),
    template: (templateId) => make({ templateId }).create(),
    reasonOf: ourReason,
    has: { input: true, background: true, files: true, user: true, options: true, domain: 'e2b.app', text: true, tree: true, retries: true },
  }
}

module.exports = { KEY, publishedClient, official, published, ours }
