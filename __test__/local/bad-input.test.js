'use strict'

/** Everything of a wrong type or value is refused with its name and a remedy, and nothing is started because of it. */

const { VibeKit, createLocalProvider } = require('vibekit-native')
const { recordingProvider } = require('../support/provider')
const { AGENT, localSandbox, reasonOf } = require('./support')

const circle = {}
circle.self = circle

/** Method, arguments, the field at fault. */
const CALLS = [
  ['executeCommand', [], 'command'],
  ['executeCommand', [5], 'command'],
  ['executeCommand', [null], 'command'],
  ['executeCommand', [['ls']], 'command'],
  ['executeCommand', ['x', 5], 'executeCommand options'],
  ['executeCommand', ['x', { timeoutMs: '5' }], 'timeoutMs'],
  ['executeCommand', ['x', { timeoutMs: -1 }], 'timeoutMs'],
  ['executeCommand', ['x', { timeoutMs: 1.5 }], 'timeoutMs'],
  ['executeCommand', ['x', { timeoutMs: Infinity }], 'timeoutMs'],
  ['executeCommand', ['x', { timeoutMs: NaN }], 'timeoutMs'],
  ['executeCommand', ['x', { timeoutMs: 5n }], 'timeoutMs'],
  ['executeCommand', ['x', { background: 'yes' }], 'background'],
  ['executeCommand', ['x', { readOnly: 1 }], 'readOnly'],
  ['executeCommand', ['x', { branch: 5 }], 'branch'],
  ['executeCommand', ['x', { env: 'A=b' }], 'env'],
  ['executeCommand', ['x', { env: ['A'] }], 'env'],
  ['executeCommand', ['x', { env: { A: 5 } }], 'env.A'],
  ['executeCommand', ['x', { stdin: 5 }], 'stdin'],
  ['executeCommand', ['x', { maxOutputBytes: '1' }], 'maxOutputBytes'],
  ['executeCommand', ['x', { callbacks: 5 }], 'callbacks'],
  ['executeCommand', ['x', { callbacks: { onUpdate: 'f' } }], 'callbacks.onUpdate'],
  ['executeCommand', ['x', { callbacks: { onError: {} } }], 'callbacks.onError'],
  ['executeCommand', ['x', { signal: 'now' }], 'signal'],
  ['executeCommand', ['x', { signal: {} }], 'signal'],
  ['generateCode', [], 'prompt'],
  ['generateCode', [null], 'prompt'],
  ['generateCode', [5], 'prompt'],
  ['generateCode', [{}], 'prompt'],
  ['generateCode', [{ prompt: 5 }], 'prompt'],
  ['generateCode', ['p', 'write'], 'mode'],
  ['generateCode', ['p', 5], 'mode'],
  ['generateCode', [{ prompt: 'p', mode: 'CODE' }], 'mode'],
  ['generateCode', ['p', 'ask', 'history'], 'history'],
  ['generateCode', ['p', 'ask', [5]], 'history[0]'],
  ['generateCode', ['p', 'ask', [{ role: 'user', content: 'a' }, { role: 'user' }]], 'history[1].content'],
  ['generateCode', ['p', 'ask', [], 'callbacks'], 'callbacks'],
  ['generateCode', [{ prompt: 'p', timeoutMs: {} }], 'timeoutMs'],
  ['generateCode', [{ prompt: 'p', signal: 1 }], 'signal'],
  ['runTests', [5], 'runTests options'],
  ['runTests', [{ history: {} }], 'history'],
  ['setSession', [], 'sessionId'],
  ['setSession', [null], 'sessionId'],
  ['setSession', [5], 'sessionId'],
  ['setSession', [''], 'sessionId'],
  ['kill', [5], 'kill options'],
  ['kill', [{ signal: 5 }], 'signal'],
  ['pause', ['x'], 'pause options'],
  ['resume', [true], 'resume options'],
  ['getHost', [3000, { signal: null, }], null],
  ['getHost', [3000, 'options'], 'getHost options'],
]

test.each(CALLS)('%s(%p) names %s', async (method, args, field) => {
  const provider = recordingProvider()
  const kit = new VibeKit({ agent: AGENT, sandbox: provider })
  if (field === null) {
    await expect(kit[method](...args)).resolves.toBeDefined()
    return
  }
  const error = await reasonOf(kit[method](...args))
  expect(error).toBeInstanceOf(Error)
  expect(error.field).toBe(field)
  expect(error.message.startsWith(`${field} `)).toBe(true)
  expect(error.hint.length).toBeGreaterThan(10)
  expect(error.message.endsWith(error.hint)).toBe(true)
  expect(error.code).toMatch(/^INVALID_(TYPE|ARGUMENT)$/)
  expect(error instanceof TypeError).toBe(error.code === 'INVALID_TYPE')
  expect(provider.calls).toEqual([])
})

test.each([
  [5, 'options'],
  ['deny', 'options'],
  [[], 'options'],
  [null, 'options'],
  [{ network: 5 }, 'options.network'],
  [{ network: 'some' }, 'options.network'],
  [{ network: { allow: 'a' } }, 'options.network.allow'],
  [{ network: { allow: [5] } }, 'options.network.allow[0]'],
  [{ limits: 5 }, 'options.limits'],
  [{ limits: { memory: 'much' } }, 'options.limits.memory'],
  [{ limits: { memory: -1 } }, 'options.limits.memory'],
  [{ limits: { memory: NaN } }, 'options.limits.memory'],
  [{ limits: { pids: Infinity } }, 'options.limits.pids'],
  [{ limits: { pids: 1.5 } }, 'options.limits.pids'],
  [{ limits: { cpu: 0 } }, 'options.limits.cpu'],
  [{ limits: { disk: 5n } }, 'options.limits.disk'],
  [{ limits: { memry: 5 } }, 'options.limits.memry'],
  [{ workspace: '/srv' }, 'options.workspace'],
  [{ workspace: {} }, 'options.workspace.path'],
  [{ workspace: { path: 'relative' } }, 'options.workspace.path'],
  [{ workspace: { path: '/tmp', mode: 'magic' } }, 'options.workspace.mode'],
  [{ ephemeral: 'yes' }, 'options.ephemeral'],
  [{ netwrok: 'deny' }, 'options.netwrok'],
  [{ workspace: circle }, 'options.workspace.self'],
])('createLocalProvider(%p) names %s', (options, field) => {
  let error
  try {
    createLocalProvider(options)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(Error)
  expect(error.field).toBe(field)
  expect(error.message).toContain(field)
  expect(error.hint.length).toBeGreaterThan(10)
})

test('a provider names what create() and resume() do not take', async () => {
  const provider = createLocalProvider()
  for (const [call, field] of [
    [() => provider.create('A=b'), 'envs'],
    [() => provider.create({ A: 5 }), 'envs.A'],
    [() => provider.create({}, 5), 'agentType'],
    [() => provider.create({}, 'claude', 5), 'workingDirectory'],
    [() => provider.resume(), 'sandboxId'],
    [() => provider.resume(5), 'sandboxId'],
  ]) {
    const error = await reasonOf(call())
    expect(error.field).toBe(field)
    expect(error).toBeInstanceOf(TypeError)
  }
})

test('a sandbox names what its methods do not take', async () => {
  const sandbox = await localSandbox()
  const { commands, files } = sandbox
  for (const [call, field] of [
    [() => commands.run(), 'command'],
    [() => commands.run(5), 'command'],
    [() => commands.run([]), 'command'],
    [() => commands.run(['a', 5]), 'command[1]'],
    [() => commands.run('x', 'y'), 'run options'],
    [() => commands.run('x', { onStdout: 5 }), 'onStdout'],
    [() => commands.run('x', { onStderr: {} }), 'onStderr'],
    [() => commands.run('x', { cwd: 5 }), 'cwd'],
    [() => commands.run('x', { stdin: 5 }), 'stdin'],
    [() => commands.run('x', { readOnly: 'yes' }), 'readOnly'],
    [() => commands.run('x', { timeoutMs: -5 }), 'timeoutMs'],
    [() => files.read(), 'path'],
    [() => files.read('x', 5), 'encoding'],
    [() => files.read('x', 'utf-9'), 'encoding'],
    [() => files.write('x'), 'content'],
    [() => files.write('x', 5), 'content'],
    [() => files.write(5, 'x'), 'path'],
    [() => files.list(5), 'path'],
    [() => files.remove(), 'path'],
    [() => sandbox.getHost(), 'port'],
    [() => sandbox.getHost('3000'), 'port'],
    [() => sandbox.getHost(0), 'port'],
    [() => sandbox.getHost(70000), 'port'],
    [() => sandbox.getHost(1.5), 'port'],
  ]) {
    const error = await reasonOf(call())
    expect(error).toBeInstanceOf(Error)
    expect([String(call), error.field]).toEqual([String(call), field])
  }
})
