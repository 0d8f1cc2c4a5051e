'use strict'

/** What this package does better than the TypeScript SDK over JavaScript providers, difference by difference. */

const { VibeKit } = require('vibekit-native')
const { recordingProvider, recordEvents } = require('../support/provider')

beforeAll(() => {
  process.env.VIBEKIT_NO_DEPRECATION = '1'
})

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-test' }
const success = { exitCode: 0, stdout: '', stderr: '' }

const over = (provider, config) =>
  (config ? new VibeKit(config) : new VibeKit().withAgent(AGENT)).withSandbox(provider)

/** A promise with its ends in reach. */
function deferred() {
  let resolve, reject
  const promise = new Promise((...ends) => ([resolve, reject] = ends))
  return { promise, resolve, reject }
}

const reasonOf = (promise) => promise.then(() => { throw new Error('it resolved') }, (reason) => reason)

test('first calls made at the same time share one sandbox', async () => {
  const provider = recordingProvider()
  const kit = over(provider)
  const results = await Promise.all([kit.executeCommand('a'), kit.executeCommand('b'), kit.getHost(1), kit.executeCommand('c')])
  expect(provider.calls.filter(([name]) => name === 'create')).toHaveLength(1)
  expect([results[0], results[1], results[3]].map(({ sandboxId }) => sandboxId)).toEqual(['sbx-1', 'sbx-1', 'sbx-1'])
})

test('a kill() while the sandbox is made ends that sandbox', async () => {
  const made = deferred()
  const provider = recordingProvider({ create: () => made.promise })
  const kit = over(provider)
  const command = reasonOf(kit.executeCommand('a'))
  const killed = kit.kill()
  made.resolve(provider.instance('late'))
  await killed
  expect(provider.calls.map(([name]) => name)).toEqual(['create', 'kill'])
  expect(await command).toMatchObject({ code: 'SANDBOX_KILLED' })
  expect(await kit.getSession()).toBeNull()
})

test('the end message is JSON, and so is its output', async () => {
  const result = { exitCode: 0, stdout: 'say "hi"\n', stderr: '' }
  const kit = over(recordingProvider({ run: () => result }))
  const events = recordEvents(kit, ['stdout'])
  await kit.executeCommand('x')
  const end = JSON.parse(events.at(-1)[1])
  expect(end).toMatchObject({ type: 'end', sandbox_id: 'sbx-1' })
  expect(JSON.parse(end.output)).toEqual(result)
})

test('text around messages is delivered', async () => {
  const run = (line, { onStdout } = {}) => {
    if (line.endsWith('cmd')) for (const chunk of ['hello\n{"a":1}\n', 'plain\n', '{"b":2}\n']) onStdout(chunk)
    return success
  }
  const kit = over(recordingProvider({ run }))
  const seen = []
  kit.on('stdout', (text) => seen.push(text))
  await kit.executeCommand('cmd')
  const all = seen.join('')
  for (const part of ['hello', '{"a":1}', 'plain', '{"b":2}']) expect(all).toContain(part)
})

test('what was printed before a failure is delivered, and the error carries what is known', async () => {
  const thrown = Object.assign(new Error('exit status 2'), { exitCode: 2, stdout: 'partial', stderr: 'why' })
  const run = async (line, { onStdout } = {}) => {
    if (!line.endsWith('cmd')) return success
    onStdout('partial')
    throw thrown
  }
  const kit = over(recordingProvider({ run }))
  const events = recordEvents(kit)
  const error = await reasonOf(kit.executeCommand('cmd'))
  expect(events).toContainEqual(['stdout', 'partial'])
  expect(events.at(-1)).toEqual(['stderr', 'Failed to execute command: exit status 2'])
  expect(error).toBeInstanceOf(Error)
  expect(error.message).toBe('Failed to execute command: exit status 2')
  expect(error.cause).toBe(thrown)
  expect({ ...error }).toEqual({})
  expect(error).toMatchObject({ code: 'PROVIDER_FAILED', exitCode: 2, stdout: 'partial', stderr: 'why' })
  expect(error.rejection).toBeUndefined()
})

test('an error nobody listens to leaves the rejection as it is', async () => {
  const kit = over(recordingProvider({ run: () => Promise.reject(new Error('no')) }), { agent: { type: 'codex', model: { apiKey: 'k' } } })
  const error = await reasonOf(kit.executeCommand('cmd'))
  expect(error.message).toBe('Failed to execute command: no')
  const heard = []
  kit.on('error', (text) => heard.push(text))
  await reasonOf(kit.executeCommand('cmd'))
  expect(heard).toEqual(['Failed to execute command: no'])
})

describe('callbacks', () => {
  const run = (line, { onStdout } = {}) => {
    if (line.endsWith('cmd')) onStdout('{"a":1}')
    return success
  }

  test.each([
    ['fluent', undefined],
    ['configured', { agent: { type: 'codex', model: { apiKey: 'k' } } }],
  ])('get the messages beside the listeners, %s', async (_name, config) => {
    const updates = []
    const kit = over(recordingProvider({ run }), config)
    const events = recordEvents(kit, ['stdout'])
    await kit.executeCommand('cmd', { callbacks: { onUpdate: (message) => updates.push(message) } })
    expect(updates).toContain('{"a":1}')
    expect(events).toContainEqual(['stdout', '{"a":1}'])
    expect(updates.filter((message) => message === '{"a":1}')).toHaveLength(1)
  })

  test.each([
    ['fluent', undefined],
    ['configured', { agent: { type: 'codex', model: { apiKey: 'k' } } }],
  ])('get the failure, %s', async (_name, config) => {
    const errors = []
    const kit = over(recordingProvider({ run: () => Promise.reject(new Error('no')) }), config)
    const error = await reasonOf(kit.executeCommand('cmd', { callbacks: { onError: (message) => errors.push(message) } }))
    expect(errors).toEqual([error.message])
  })
})

describe('a signal', () => {
  test('that is aborted already rejects before anything starts', async () => {
    const provider = recordingProvider()
    const kit = over(provider)
    const reason = new Error('mine')
    const signal = AbortSignal.abort(reason)
    for (const call of [
      () => kit.executeCommand('x', { signal }),
      () => kit.generateCode({ prompt: 'x', signal }),
      () => kit.getHost(1, { signal }),
      () => kit.setSession('s', { signal }),
    ]) {
      expect(await reasonOf(call())).toBe(reason)
    }
    expect(provider.calls).toEqual([])
  })

  test('ends the call with its reason, and leaves the sandbox usable', async () => {
    const hanging = deferred()
    const provider = recordingProvider({ run: (line) => (line.endsWith('cmd') ? hanging.promise : success) })
    const kit = over(provider)
    const controller = new AbortController()
    let own = 0
    controller.signal.onabort = () => own++
    const command = reasonOf(kit.executeCommand('cmd', { signal: controller.signal }))
    await new Promise(setImmediate)
    controller.abort()
    const error = await command
    expect(error).toBe(controller.signal.reason)
    expect(error.name).toBe('AbortError')
    expect(own).toBe(1)
    expect((await kit.executeCommand('true')).exitCode).toBe(0)
    hanging.reject(new Error('nobody waits for this'))
    expect((await kit.executeCommand('true')).exitCode).toBe(0)
  })

  test('is let go of when the call is over', async () => {
    const { signal } = new AbortController()
    const remove = jest.spyOn(signal, 'removeEventListener')
    const add = jest.spyOn(signal, 'addEventListener')
    await over(recordingProvider()).executeCommand('true', { signal })
    expect(add).toHaveBeenCalledTimes(1)
    expect(remove).toHaveBeenCalledWith('abort', add.mock.calls[0][1])
  })
})

test('a call made by a listener is carried out after what the machine wanted before', async () => {
  const provider = recordingProvider()
  const kit = over(provider)
  let inner
  kit.once('stdout', () => (inner = kit.executeCommand('inner')))
  await kit.executeCommand('outer')
  expect((await inner).exitCode).toBe(0)
  const commands = provider.calls.filter(([name, line]) => name === 'run' && !line.startsWith('mkdir'))
  expect(commands.map(([, line]) => line).sort()).toEqual(['cd /vibe0 && inner', 'cd /vibe0 && outer'])
})

test('setSession() while a sandbox is live goes on in the other one, without a kill', async () => {
  const provider = recordingProvider()
  const kit = over(provider)
  await kit.executeCommand('true')
  await kit.setSession('other')
  expect(await kit.getSession()).toBe('other')
  await kit.executeCommand('true')
  expect(provider.calls.map(([name]) => name)).not.toContain('kill')
  expect(provider.calls).toContainEqual(['resume', 'other'])
})

test('after dispose() every call says so', async () => {
  const provider = recordingProvider()
  const kit = over(provider)
  await kit.executeCommand('true')
  await kit.dispose()
  expect(provider.calls.map(([name]) => name)).not.toContain('kill')
  expect(await reasonOf(kit.executeCommand('true'))).toMatchObject({ code: 'DISPOSED' })
  await kit.dispose()
})

test('output that comes after a run is over does no harm', async () => {
  let late
  const kit = over(recordingProvider({
    run(line, options) {
      if (line.endsWith('cmd')) late = options.onStdout
      return success
    },
  }))
  await kit.executeCommand('cmd')
  expect(() => late('{"a":1}')).not.toThrow()
})

test('80 KB of text in small chunks costs no more than its size', async () => {
  const time = async (size) => {
    const kit = over(recordingProvider({
      run(line, { onStdout } = {}) {
        if (line.endsWith('cmd')) for (let at = 0; at < size; at += 20) onStdout('x'.repeat(20))
        return success
      },
    }))
    const begin = process.cpuUsage()
    await kit.executeCommand('cmd')
    const { user } = process.cpuUsage(begin)
    return user
  }
  await time(20_000)
  const [small, large] = [await time(100_000), await time(800_000)]
  // Eight times the text: eight times the work, with room for noise; a quadratic algorithm needs sixty-four times.
  expect(large / Math.max(small, 2_000)).toBeLessThan(24)
})

describe('a repository', () => {
  const github = { token: 'ghp_secret', repository: 'owner/repo' }

  test.each(['withGithub', 'withGitHub'])('of %s() is cloned once by the first generateCode(), without its token in sight', async (method) => {
    const lines = []
    const provider = recordingProvider({ run: (line) => (lines.push(line), success) })
    const kit = over(provider)[method](github)
    const events = recordEvents(kit)
    await kit.generateCode({ prompt: 'a', mode: 'ask' })
    await kit.generateCode({ prompt: 'b', mode: 'ask' })
    const clones = lines.filter((line) => line.includes('git clone'))
    expect(clones).toHaveLength(1)
    expect(clones[0]).toContain('github.com/owner/repo')
    expect(JSON.stringify(events)).not.toContain('ghp_secret')
  })

  test('makes generateCode() say failures once, as an error', async () => {
    const provider = recordingProvider({ run: (line) => (line.includes('codex') ? Promise.reject(new Error('no')) : success) })
    const kit = over(provider).withGithub(github)
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {})
    const [events, errors] = [recordEvents(kit), []]
    const error = await reasonOf(kit.generateCode({ prompt: 'a', callbacks: { onError: (message) => errors.push(message) } }))
    expect(error.message).toBe('Failed to generate code: no')
    expect(errors).toEqual([error.message])
    expect(events.filter(([name]) => name === 'error' || name === 'stderr')).toEqual([['error', error.message]])
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })
})

test.each([[{ env: { A: 'b' } }, 'env'], [{ stdin: 'x' }, 'stdin'], [{ readOnly: true }, 'readOnly']])('refuses what such a provider cannot do: %p', async (options, field) => {
  const provider = recordingProvider()
  expect(await reasonOf(over(provider).executeCommand('x', options))).toMatchObject({ code: 'UNSUPPORTED', field })
  expect(provider.calls.filter(([name]) => name === 'run')).toEqual([])
})
