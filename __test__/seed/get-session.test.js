'use strict'

/**
 * The page of the documentation that describes session management, statement by statement: its examples as they are
 * written there, and what it promises beside them.
 */

const { VibeKit, createLocalProvider } = require('vibekit-native')
const { recordingProvider } = require('../support/provider')

const config = {
  agent: { type: 'codex', model: { apiKey: 'sk-test' }, mode: 'code' },
  environment: { e2b: { apiKey: 'e2b_test' } },
}

describe('getSession()', () => {
  test('is a promise, and null while there is no session', async () => {
    const vibeKit = new VibeKit(config)
    const promise = vibeKit.getSession()
    expect(promise).toBeInstanceOf(Promise)
    const sessionId = await promise
    expect(sessionId).toBeNull()
  })

  test('gives the id that was set, before anything ran', async () => {
    const vibeKit = new VibeKit(config)
    await vibeKit.setSession('existing-session-id')
    expect(await vibeKit.getSession()).toBe('existing-session-id')
  })

  test('gives the id set by a caller that does not wait', async () => {
    const vibeKit = new VibeKit(config)
    const setting = vibeKit.setSession('existing-session-id')
    expect(await vibeKit.getSession()).toBe('existing-session-id')
    await setting
  })

  test('gives the id of the configuration', async () => {
    expect(await new VibeKit({ ...config, sessionId: 'configured' }).getSession()).toBe('configured')
  })

  test('works for all five agents', async () => {
    for (const type of ['codex', 'claude', 'gemini', 'grok', 'opencode']) {
      const vibeKit = new VibeKit({ ...config, agent: { type, model: { apiKey: 'key' } } })
      expect(await vibeKit.getSession()).toBeNull()
    }
  })

  test('takes the key from the environment variable of the vendor', async () => {
    process.env.OPENAI_API_KEY = 'sk-from-the-environment'
    try {
      expect(await new VibeKit({ agent: { type: 'codex' }, environment: { local: {} } }).getSession()).toBeNull()
    } finally {
      delete process.env.OPENAI_API_KEY
    }
  })
})

describe('a run over a provider', () => {
  const withProvider = () => {
    const provider = recordingProvider()
    return { provider, vibeKit: new VibeKit({ ...config, sandbox: provider }) }
  }

  test('creates a session on its own', async () => {
    const { vibeKit, provider } = withProvider()
    await vibeKit.executeCommand('true')
    expect(await vibeKit.getSession()).toBe('sbx-1')
    expect(provider.calls.filter(([name]) => name === 'create')).toHaveLength(1)
  })

  test('continues the session that was set', async () => {
    const { vibeKit, provider } = withProvider()
    await vibeKit.setSession('kept')
    await vibeKit.executeCommand('true')
    expect(provider.calls[0]).toEqual(['resume', 'kept'])
    expect(await vibeKit.getSession()).toBe('kept')
  })

  test('keeps the session until it is changed, at once', async () => {
    const { vibeKit, provider } = withProvider()
    await vibeKit.executeCommand('true')
    await vibeKit.executeCommand('true')
    expect(await vibeKit.getSession()).toBe('sbx-1')
    await vibeKit.setSession('other')
    expect(await vibeKit.getSession()).toBe('other')
    await vibeKit.executeCommand('true')
    expect(provider.calls.filter(([name]) => name !== 'run')).toEqual([expect.arrayContaining(['create']), ['resume', 'other']])
  })

  test('has no session after kill()', async () => {
    const { vibeKit } = withProvider()
    await vibeKit.executeCommand('true')
    await vibeKit.kill()
    expect(await vibeKit.getSession()).toBeNull()
  })
})

describe('Error("Agent not initialized")', () => {
  const e2b = { e2b: { apiKey: 'e2b_test' } }
  const codex = { type: 'codex', model: { apiKey: 'sk-test' } }
  const circle = { agent: codex, environment: { local: {} }, secrets: {} }
  circle.secrets.self = circle

  /** What is configured, and a word the cause must have. */
  const CASES = [
    ['nothing', {}, /agent/i],
    ['null', null, /config/],
    ['a string', 'codex', /config/],
    ['a number', 7, /config/],
    ['no agent', { environment: e2b }, /agent/i],
    ['an unknown agent', { agent: { type: 'cursor', model: { apiKey: 'k' } }, environment: e2b }, /Unsupported agent type: cursor/],
    ['an agent that is a string', { agent: 'codex', environment: e2b }, /agent/],
    ['no type', { agent: { model: { apiKey: 'k' } }, environment: e2b }, /agent\.type/],
    ['no environment', { agent: codex }, /No sandbox configuration found/],
    ['an empty environment', { agent: codex, environment: {} }, /No sandbox configuration found/],
    ['an environment that is a string', { agent: codex, environment: 'e2b' }, /No sandbox configuration found/],
    ['no key of the sandbox', { agent: codex, environment: { e2b: {} } }, /environment\.e2b\.apiKey/],
    ['an empty key of the sandbox', { agent: codex, environment: { e2b: { apiKey: '' } } }, /environment\.e2b\.apiKey/],
    ['a provider the agent does not support', { agent: { type: 'claude', model: { provider: 'openai', apiKey: 'k' } }, environment: e2b }, /only supports 'anthropic'/],
    ['a key of a wrong type', { agent: { type: 'codex', model: { apiKey: 5 } }, environment: e2b }, /agent\.model\.apiKey/],
    ['an object that contains itself', circle, /secrets\.self/],
    ...['codex', 'claude', 'gemini', 'grok', 'opencode'].flatMap((type) => [
      [`${type} without a key`, { agent: { type }, environment: e2b }, /key|oauthToken/i],
      [`${type} with an empty key`, { agent: { type, model: { apiKey: '' } }, environment: e2b }, /key|oauthToken/i],
    ]),
  ]
  const METHODS = [
    ['getSession', (kit) => kit.getSession()],
    ['setSession', (kit) => kit.setSession('x')],
    ['generateCode', (kit) => kit.generateCode('x')],
    ['executeCommand', (kit) => kit.executeCommand('x')],
    ['runTests', (kit) => kit.runTests()],
    ['kill', (kit) => kit.kill()],
    ['pause', (kit) => kit.pause()],
    ['resume', (kit) => kit.resume()],
    ['getHost', (kit) => kit.getHost(3000)],
  ]

  describe.each(CASES)('%s', (_name, wrong, cause) => {
    test.each(METHODS)('%s() rejects with it, and with the reason as its cause', async (_method, call) => {
      const vibeKit = new VibeKit(wrong)
      const error = await call(vibeKit).then(
        () => null,
        (reason) => reason,
      )
      expect(error).toBeInstanceOf(Error)
      expect(error.message).toBe('Agent not initialized')
      expect(error.name).toBe('Error')
      expect(error.code).toBe('AGENT_NOT_INITIALIZED')
      expect(error.cause).toBeInstanceOf(Error)
      expect(error.cause.message).toMatch(cause)
      expect(Object.keys(error)).toEqual([])
    })
  })

  test('is found the way the documentation finds it', async () => {
    let message
    try {
      await new VibeKit({}).getSession()
    } catch (error) {
      if (error.message.includes('not initialized')) message = error.message
    }
    expect(message).toBe('Agent not initialized')
  })

  test('is what a fluent object without an agent says about sessions', async () => {
    await expect(new VibeKit().getSession()).rejects.toThrow('Agent not initialized')
    await expect(new VibeKit().setSession('x')).rejects.toThrow('Agent not initialized')
  })

  test('goes away when the setup is corrected', async () => {
    const vibeKit = new VibeKit()
    await expect(vibeKit.getSession()).rejects.toThrow('Agent not initialized')
    vibeKit.withAgent({ type: 'codex', provider: 'openai', apiKey: 'sk-test', model: 'gpt-5' })
    expect(await vibeKit.getSession()).toBeNull()
  })
})

describe('the embedded sandbox', () => {
  test('gives sessions that getSession() reports and kill() ends', async () => {
    const vibeKit = new VibeKit({ ...config, environment: { local: {} } })
    const { stdout, exitCode, sandboxId } = await vibeKit.executeCommand("echo 'Hello World'")
    expect({ stdout, exitCode }).toEqual({ stdout: 'Hello World\n', exitCode: 0 })
    expect(sandboxId).toMatch(/^lcl_[a-z2-7]{26}$/)
    expect(await vibeKit.getSession()).toBe(sandboxId)
    await vibeKit.kill()
    expect(await vibeKit.getSession()).toBeNull()
  })

  test('is the same through withSandbox()', async () => {
    const vibeKit = new VibeKit().withAgent({ type: 'claude', apiKey: 'key' }).withSandbox(createLocalProvider())
    const { sandboxId } = await vibeKit.executeCommand('true')
    expect(await vibeKit.getSession()).toBe(sandboxId)
    await vibeKit.kill()
  })

  test('continues a session in a new object', async () => {
    const first = new VibeKit({ ...config, environment: { local: {} } })
    await first.executeCommand('echo kept > file')
    const sessionId = await first.getSession()
    await first.dispose()

    const second = new VibeKit({ ...config, environment: { local: {} } })
    await second.setSession(sessionId)
    expect(await second.getSession()).toBe(sessionId)
    expect((await second.executeCommand('cat file')).stdout).toBe('kept\n')
    await second.kill()
  })
})
