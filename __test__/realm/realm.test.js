'use strict'

/**
 * Everything this package hands out belongs to the realm of the code that uses it. Jest evaluates packages in a realm of
 * their own, while native code lives in Node's main one: whatever native code made itself would fail here. Run under
 * two majors of Jest, because their matchers look differently.
 */

const { EventEmitter, once } = require('node:events')
const { VibeKit, createLocalProvider } = require('vibekit-native')
const { recordingProvider } = require('../support/provider')

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-test' }
const success = { exitCode: 0, stdout: '{"a":1}', stderr: '' }
const kitOver = (provider) => new VibeKit().withAgent(AGENT).withSandbox(provider)

describe('errors', () => {
  const failing = () => new VibeKit({}).getSession()

  test('are instances of Error, and so are their causes', async () => {
    const error = await failing().catch((reason) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(error instanceof Error).toBe(true)
    expect(error.cause).toBeInstanceOf(Error)
    expect(Object.getPrototypeOf(error)).toBe(Error.prototype)
  })

  test('satisfy the matchers users write', async () => {
    await expect(failing()).rejects.toThrow('Agent not initialized')
    await expect(failing()).rejects.toThrow(Error)
    await expect(failing()).rejects.toThrow(/not initialized/)
    await expect(failing()).rejects.toBeInstanceOf(Error)
    await expect(failing()).rejects.toEqual(new Error('Agent not initialized'))
    await expect(failing()).rejects.toStrictEqual(new Error('Agent not initialized'))
    await expect(failing()).rejects.toMatchObject({ code: 'AGENT_NOT_INITIALIZED' })
    await expect(failing()).rejects.toHaveProperty('cause.message', 'Agent configuration is required')
  })

  test('compare with their causes where Jest does that', async () => {
    const cause = new Error('Agent configuration is required')
    await expect(failing()).rejects.toStrictEqual(new Error('Agent not initialized', { cause }))
  })

  test('of arguments are TypeErrors', async () => {
    const kit = kitOver(recordingProvider())
    await expect(kit.executeCommand(5)).rejects.toThrow(TypeError)
    await expect(kit.generateCode()).rejects.toBeInstanceOf(TypeError)
    expect(() => createLocalProvider(5)).toThrow(TypeError)
  })

  test('of the native side too', () => {
    const call = () => createLocalProvider({ network: 5 })
    expect(call).toThrow(Error)
    expect(call).toThrow(/network/)
  })

  test('have a stack that leads to the caller', async () => {
    async function theCallersOwnFunction() {
      await failing()
    }
    const error = await theCallersOwnFunction().catch((reason) => reason)
    expect(error.stack).toContain('theCallersOwnFunction')
  })

  test('that user code threw come back as they are', async () => {
    class Own extends Error {}
    const thrown = new Own('mine')
    const kit = kitOver({ create: () => Promise.reject(thrown), resume: () => Promise.reject(thrown) })
    await expect(kit.getHost(1)).rejects.toBe(thrown)
    const error = await kit.executeCommand('x').catch((reason) => reason)
    expect(error.cause).toBe(thrown)
  })
})

describe('promises', () => {
  test('are instances of Promise', async () => {
    const kit = kitOver(recordingProvider())
    const calls = [kit.getSession(), kit.setSession('s'), kit.executeCommand('x'), kit.getHost(1), kit.pause(), kit.resume(), kit.kill(), kit.dispose()]
    for (const call of calls) {
      expect(call).toBeInstanceOf(Promise)
      expect(Object.getPrototypeOf(call)).toBe(Promise.prototype)
    }
    await Promise.allSettled(calls)
  })
})

describe('values', () => {
  test('are objects of this realm', async () => {
    const kit = kitOver(recordingProvider({ run: () => success }))
    const result = await kit.executeCommand('x')
    expect(result).toStrictEqual({ sandboxId: 'sbx-1', ...success })
    expect(result).toBeInstanceOf(Object)
  })

  test('that events carry are, too', async () => {
    const kit = kitOver(recordingProvider())
    const [message] = await Promise.all([once(kit, 'stdout'), kit.executeCommand('x')]).then(([args]) => args)
    expect(JSON.parse(message)).toStrictEqual({ type: 'start', sandbox_id: 'sbx-1' })
  })
})

describe('the class', () => {
  test('is an emitter', () => {
    expect(new VibeKit()).toBeInstanceOf(EventEmitter)
  })

  test('can be spied on', async () => {
    const kit = kitOver(recordingProvider())
    const spy = jest.spyOn(kit, 'executeCommand').mockResolvedValue({ exitCode: 7 })
    expect(await kit.executeCommand('x')).toEqual({ exitCode: 7 })
    expect(spy).toHaveBeenCalledWith('x')
  })

  test('can be mocked as a whole, and in parts', () => {
    jest.isolateModules(() => {
      jest.doMock('vibekit-native')
      const mocked = require('vibekit-native')
      const kit = new mocked.VibeKit()
      expect(jest.isMockFunction(kit.getSession)).toBe(true)
      expect(jest.isMockFunction(kit.on)).toBe(true)
      jest.dontMock('vibekit-native')
    })
    jest.isolateModules(() => {
      jest.doMock('vibekit-native', () => ({ ...jest.requireActual('vibekit-native'), createLocalProvider: jest.fn() }))
      const { createLocalProvider: mocked, VibeKit: actual } = require('vibekit-native')
      expect(jest.isMockFunction(mocked)).toBe(true)
      expect(jest.isMockFunction(actual)).toBe(false)
      jest.dontMock('vibekit-native')
    })
  })

  test('works in several copies at once, which share the addon', async () => {
    const copies = []
    for (let copy = 0; copy < 3; copy++) jest.isolateModules(() => copies.push(require('vibekit-native')))
    expect(new Set(copies.map(({ VibeKit: Class }) => Class)).size).toBe(3)
    const kits = copies.map(({ VibeKit: Class }) => new Class().withAgent(AGENT).withSandbox(recordingProvider()))
    const results = await Promise.all(kits.flatMap((kit) => [kit.executeCommand('a'), kit.executeCommand('b')]))
    expect(results.map(({ sandboxId }) => sandboxId)).toEqual(Array(6).fill('sbx-1'))
    // A provider made by one copy is known to the others.
    const provider = copies[0].createLocalProvider()
    const kit = new copies[1].VibeKit().withAgent(AGENT).withSandbox(provider)
    const { sandboxId } = await kit.executeCommand('true')
    expect(sandboxId).toMatch(/^lcl_/)
    await kit.kill()
  })

  test('is not disturbed by fake timers', async () => {
    jest.useFakeTimers()
    try {
      const kit = kitOver(recordingProvider())
      expect((await kit.executeCommand('x', { timeoutMs: 50 })).exitCode).toBe(0)
    } finally {
      jest.useRealTimers()
    }
  })
})

describe('the embedded sandbox', () => {
  test('gives values and errors of this realm', async () => {
    const sandbox = await createLocalProvider().create()
    try {
      const result = await sandbox.commands.run('echo hi')
      expect(result).toMatchObject({ exitCode: 0, stdout: 'hi\n', stderr: '' })
      expect(Object.getPrototypeOf(result)).toBe(Object.prototype)
      await sandbox.files.write('a', 'text')
      const bytes = await sandbox.files.read('a')
      expect(bytes).toBeInstanceOf(Uint8Array)
      expect(Buffer.isBuffer(bytes)).toBe(true)
      const list = await sandbox.files.list()
      expect(list).toBeInstanceOf(Array)
      expect(list).toStrictEqual([{ name: 'a', kind: 'file', size: 4 }])
      await expect(sandbox.files.read('missing')).rejects.toBeInstanceOf(Error)
      await expect(sandbox.commands.run(['/no/such/program'])).rejects.toMatchObject({ code: 'SPAWN_FAILED' })
    } finally {
      await sandbox.kill()
    }
  })
})
