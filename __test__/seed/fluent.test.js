'use strict'

/** The fluent generation: what its setters do, what it says when something is missing, what the object looks like. */

const { EventEmitter } = require('node:events')
const { inspect } = require('node:util')
const upstream = require('@vibe-kit/sdk')
const { VibeKit } = require('vibekit-native')
const { recordingProvider } = require('../support/provider')

const agent = { type: 'claude', provider: 'anthropic', apiKey: 'key', model: 'claude-sonnet-4-20250514' }

test('setters return the object, in any order', () => {
  const vibeKit = new VibeKit()
  const same = vibeKit.withSession('s').withSecrets({}).withWorkingDirectory('/w').withSandbox(recordingProvider()).withAgent(agent)
  expect(same).toBe(vibeKit)
})

test('withSession() is visible at once and resumed by the first run', async () => {
  const provider = recordingProvider()
  const vibeKit = new VibeKit().withAgent(agent).withSandbox(provider).withSession('kept')
  expect(await vibeKit.getSession()).toBe('kept')
  await vibeKit.executeCommand('true')
  expect(provider.calls[0]).toEqual(['resume', 'kept'])
})

test.each(['kill', 'pause', 'resume'])('%s() of an object nothing was done with resolves', async (method) => {
  await expect(new VibeKit()[method]()).resolves.toBeUndefined()
  await expect(new VibeKit().withAgent(agent).withSandbox(recordingProvider())[method]()).resolves.toBeUndefined()
})

test('looks like an object of upstream', () => {
  const [ours, theirs] = [new VibeKit(), new upstream.VibeKit()]
  expect(Object.keys(ours)).toEqual(Object.keys(theirs))
  expect(inspect(ours)).toBe(inspect(theirs))
  expect(JSON.stringify(ours)).toBe(JSON.stringify(theirs))
  expect(VibeKit.length).toBe(0)
  expect(() => VibeKit()).toThrow(TypeError)
  const enumerable = []
  for (const key in ours) enumerable.push(key)
  expect(enumerable.filter((key) => !(key in EventEmitter.prototype))).toEqual(Object.keys(theirs).filter((key) => !(key in EventEmitter.prototype)))
})

test('is an emitter that can be subclassed, wrapped and derived from', async () => {
  class Own extends VibeKit {
    constructor() {
      super()
      this.seen = []
    }

    emit(name, ...args) {
      this.seen.push(name)
      return super.emit(name, ...args)
    }
  }
  const own = new Own().withAgent(agent).withSandbox(recordingProvider())
  expect(own).toBeInstanceOf(EventEmitter)
  await own.executeCommand('true')
  expect(own.seen).toContain('stdout')

  const proxy = new Proxy(new VibeKit().withAgent(agent).withSession('s'), {})
  expect(await proxy.getSession()).toBe('s')
  const derived = Object.create(new VibeKit().withAgent(agent).withSession('s'))
  expect(await derived.getSession()).toBe('s')
})

test('agent is undefined until the first run, then reaches the session', async () => {
  const vibeKit = new VibeKit().withAgent(agent).withSandbox(recordingProvider())
  expect(vibeKit.agent).toBeUndefined()
  await vibeKit.getSession()
  expect(vibeKit.agent).toBeUndefined()
  await vibeKit.executeCommand('true')
  expect(await vibeKit.agent.getSession()).toBe('sbx-1')
  expect(await vibeKit.agent.getHost(3000)).toBe('3000-sbx-1.example')
  await vibeKit.agent.setSession('other')
  expect(await vibeKit.getSession()).toBe('other')
})

describe('the deprecation warning of generateCode()', () => {
  const warnings = []
  let spy
  beforeEach(() => {
    warnings.length = 0
    spy = jest.spyOn(console, 'warn').mockImplementation((...args) => warnings.push(args))
  })
  afterEach(() => spy.mockRestore())

  test('is upstream\'s, once per call', async () => {
    const vibeKit = new VibeKit().withAgent(agent).withSandbox(recordingProvider())
    await vibeKit.generateCode({ prompt: 'x', mode: 'ask' })
    await vibeKit.generateCode('x', 'ask')
    const text =
      '⚠️  generateCode() is deprecated and will be removed in a future version. ' +
      'Please use executeCommand() instead for better flexibility and control.'
    expect(warnings).toEqual([[text], [text]])
  })

  test('can be switched off, and is not for objects made from a configuration', async () => {
    process.env.VIBEKIT_NO_DEPRECATION = '1'
    try {
      await new VibeKit().withAgent(agent).withSandbox(recordingProvider()).generateCode('x')
    } finally {
      delete process.env.VIBEKIT_NO_DEPRECATION
    }
    await new VibeKit({ agent: { type: 'claude', model: { apiKey: 'k' } }, sandbox: recordingProvider() }).generateCode('x')
    expect(warnings).toEqual([])
  })
})
