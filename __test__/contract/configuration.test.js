'use strict'

/**
 * Objects made from a configuration, against the contract: no version of that generation can be installed, so what it did is
 * written down here, value by value.
 */

const { VibeKit } = require('vibekit-native')
const { recordingProvider, recordEvents } = require('../support/provider')
const { received } = require('./stub-agents')

const success = { exitCode: 0, stdout: '', stderr: '' }
const ENVIRONMENT = { e2b: { apiKey: 'e2b_test' } }
const reasonOf = (promise) => promise.then(() => { throw new Error('it resolved') }, (reason) => reason)

const former = { ...process.env }
beforeAll(() => {
  for (const name of Object.keys(process.env)) if (/(_API_KEY|_OAUTH_TOKEN|_API_TOKEN|_JWT_TOKEN|^GH_TOKEN|^GITHUB_TOKEN)$/.test(name)) delete process.env[name]
})
afterAll(() => Object.assign(process.env, former))

const model = (name) => ({ apiKey: 'k', ...(name && { name }) })
const configured = (more, script) => {
  const provider = recordingProvider(script)
  const kit = new VibeKit({ agent: { type: 'codex', model: model() }, environment: ENVIRONMENT, ...more }).withSandbox(provider)
  return { kit, provider, events: recordEvents(kit) }
}
const lines = ({ calls }) => calls.filter(([name]) => name === 'run').map(([, line]) => line)

describe('why an agent is not initialized', () => {
  const agent = (type, more) => ({ agent: { type, model: { ...model(), ...more } }, environment: ENVIRONMENT })
  const keyless = (type) => ({ agent: { type, model: {} }, environment: ENVIRONMENT })

  test.each([
    ['an unknown type', agent('cursor'), 'Unsupported agent type: cursor', 'agent.type'],
    ['codex without a key', keyless('codex'), 'Provider API key is required. Please provide providerApiKey, apiKey, or openaiApiKey.', 'agent.model.apiKey'],
    ['opencode without a key', keyless('opencode'), 'Provider API key is required. Please provide providerApiKey.', 'agent.model.apiKey'],
    ['claude without a credential', keyless('claude'), "Claude agent requires either providerApiKey or oauthToken. Run 'vibekit auth claude' to authenticate.", 'agent.model.apiKey'],
    ['gemini without a key', keyless('gemini'), /^Gemini agent requires an API key/, 'agent.model.apiKey'],
    ['grok without a key', keyless('grok'), 'Grok agent requires providerApiKey or GROK_API_KEY environment variable', 'agent.model.apiKey'],
    ['claude of another vendor', agent('claude', { provider: 'openai' }), "Claude agent only supports 'anthropic' provider", 'agent.model.provider'],
    ['gemini of another vendor', agent('gemini', { provider: 'openai' }), "Gemini agent only supports 'gemini' or 'google' provider", 'agent.model.provider'],
    ['grok of another vendor', agent('grok', { provider: 'openai' }), "Grok agent only supports 'xai' provider", 'agent.model.provider'],
    ['no environment', { agent: agent('codex').agent }, 'No sandbox configuration found in environment config', 'environment'],
    ['an empty environment', { ...agent('codex'), environment: {} }, 'No sandbox configuration found in environment config', 'environment'],
    ['an environment that is a word', { ...agent('codex'), environment: 'e2b' }, 'No sandbox configuration found in environment config', 'environment'],
    ['an environment nothing is known of', { ...agent('codex'), environment: { modal: { image: 'i' } } }, 'No sandbox configuration found in environment config', 'environment'],
    ...['e2b', 'daytona', 'northflank'].map((name) => [
      `${name} without a key`, { ...agent('codex'), environment: { [name]: {} } }, new RegExp(`^environment\\.${name}\\.apiKey is missing`), `environment.${name}.apiKey`,
    ]),
  ])('%s', async (_name, config, message, field) => {
    const error = await reasonOf(new VibeKit(config).getSession())
    expect(error).toMatchObject({ message: 'Agent not initialized', code: 'AGENT_NOT_INITIALIZED' })
    if (typeof message === 'string') expect(error.cause.message).toBe(message)
    else expect(error.cause.message).toMatch(message)
    expect(error.cause.field).toBe(field)
  })

  test.each([
    ['extra keys', { agent: { type: 'codex', model: { ...model(), more: 1 }, more: 2 }, environment: ENVIRONMENT, more: 3 }],
    ['a google model of gemini', agent('gemini', { provider: 'google' })],
    ['a model of codex of any vendor', agent('codex', { provider: 'mistral' })],
    ['a local environment without anything', { ...agent('codex'), environment: { local: {} } }],
  ])('but not: %s', async (_name, config) => expect(await new VibeKit(config).getSession()).toBeNull())

  test('a key may be in the environment of the host', async () => {
    process.env.OPENAI_API_KEY = 'env'
    process.env.E2B_API_KEY = 'env'
    try {
      expect(await new VibeKit({ agent: { type: 'codex' }, environment: { e2b: {} } }).getSession()).toBeNull()
    } finally {
      delete process.env.OPENAI_API_KEY
      delete process.env.E2B_API_KEY
    }
  })
})

describe('what an agent is run with', () => {
  const ASK = "Research the repository and answer the user's questions. Do NOT make any changes to any files in the repository."
  const CODE = "Do the necessary changes to the codebase based on the users input.\nDon't ask any follow up questions."
  const DENY = ['--disallowedTools', 'Edit', 'Replace', 'Write']
  const claude = (instruction, name, deny = []) => ({
    argv: [
      '-p', '--append-system-prompt', instruction, ...deny, '--output-format', 'stream-json', '--verbose', '--allowedTools',
      'Edit,Write,MultiEdit,Read,Bash', '--model', name,
    ],
    stdin: 'PROMPT\n',
  })
  const whole = (instruction) => `${instruction}\n\nUser: PROMPT`
  const codex = (instruction, name = []) => ({ argv: ['--full-auto', ...name, '--provider', 'openai', '--quiet', whole(instruction)], stdin: '' })
  const gemini = (instruction, name) => ({ argv: ['--model', name, '--yolo'], stdin: `${whole(instruction)}\n` })
  const opencode = (instruction, name = []) => ({ argv: ['run', ...name, whole(instruction)], stdin: '' })

  test.each([
    ['codex', 'ask', undefined, codex(ASK)],
    ['codex', 'code', 'M', codex(CODE, ['--model', 'M'])],
    ['claude', 'ask', undefined, claude(ASK, 'claude-sonnet-4-20250514', DENY)],
    ['claude', 'code', 'M', claude(CODE, 'M')],
    ['gemini', 'ask', 'M', gemini(ASK, 'M')],
    ['gemini', 'code', undefined, gemini(CODE, 'gemini-2.5-pro')],
    ['opencode', 'ask', undefined, opencode(ASK)],
    ['opencode', 'code', 'M', opencode(CODE, ['--model', 'openai/M', '--print-logs'])],
  ])('%s to %s, with the model %s', async (type, mode, name, expected) => {
    for (const shell of ['bash', 'dash']) {
      const { kit, provider } = configured({ agent: { type, model: model(name) } })
      await kit.generateCode({ prompt: 'PROMPT', mode })
      expect(received(shell, lines(provider).at(-1))).toEqual(expected)
    }
  })

  test('the history comes behind the prompt', async () => {
    const { kit, provider } = configured()
    await kit.generateCode({ prompt: 'NOW', mode: 'ask', history: [{ role: 'user', content: 'A "b" $c' }, { role: 'assistant', content: 'D' }] })
    expect(received('dash', lines(provider).at(-1)).argv.at(-1)).toBe(`${ASK}\n\nUser: NOW\n\nConversation history: user\n A "b" $c\n\nassistant\n D`)
  })

  test.each([
    ['the argument of the call', ['x', 'ask'], 'code', ASK],
    ['the argument of the call, as an option', [{ prompt: 'x', mode: 'code' }], 'ask', CODE],
    ['the configuration', ['x'], 'ask', ASK],
    ['the default', ['x'], undefined, CODE],
  ])('the mode is that of %s', async (_name, parameters, mode, instruction) => {
    const { kit, provider } = configured({ agent: { type: 'codex', mode, model: model() } })
    await kit.generateCode(...parameters)
    expect(received('bash', lines(provider).at(-1)).argv.at(-1)).toBe(`${instruction}\n\nUser: x`)
  })
})

describe('generateCode()', () => {
  const GIT = (text) => `{"type": "git", "output": "${text}"}`
  const END = '{"type": "end", "sandbox_id": "sbx-1", "output": "{\\"exitCode\\":0,\\"stdout\\":\\"\\",\\"stderr\\":\\"\\"}"}'

  test('clones, changes to the branch, runs the agent, and tells its callbacks', async () => {
    const { kit, provider, events } = configured({ github: { token: 'ghp_x', repository: 'o/r' }, secrets: { A: 'b' }, workingDirectory: '/srv' })
    const updates = []
    const result = await kit.generateCode({ prompt: 'x', branch: 'topic', callbacks: { onUpdate: (message) => updates.push(message) } })
    expect(result).toEqual({ sandboxId: 'sbx-1', ...success })
    expect(provider.calls[0]).toEqual(['create', [['OPENAI_API_KEY', 'k'], ['A', 'b']], 'codex', '/srv'])
    // The lines that make a key for the token (docs/repositories.md) are none of that generation's.
    const steps = provider.calls.filter(([name, line]) => name === 'run' && !line.includes('openssl'))
    expect(steps.slice(0, -1)).toEqual([
      ['run', 'mkdir -p /srv || true', [['timeoutMs', 30000], ['background', false]]],
      ['run', 'cd /srv && git clone https://github.com/o/r.git .', [['timeoutMs', 3600000], ['background', false]]],
      ['run', 'cd /srv && git config user.name "github-actions[bot]" && git config user.email "github-actions[bot]@users.noreply.github.com"', [['timeoutMs', 60000], ['background', false]]],
      ['run', 'cd /srv && git checkout topic', [['timeoutMs', 60000], ['background', false]]],
      ['run', 'cd /srv && git pull origin topic', [['timeoutMs', 60000], ['background', false]]],
    ])
    expect(steps.at(-1)[2]).toEqual([['timeoutMs', 3600000], ['background', false], ['onStdout', 'function'], ['onStderr', 'function']])
    const messages = ['{"type": "start", "sandbox_id": "sbx-1"}', GIT('Cloning repository: o/r'), GIT('Switching to branch: topic'), GIT('Pulling latest changes from topic'), END]
    expect(updates).toEqual(messages)
    expect(events).toEqual(messages.flatMap((message) => [['stdout', message], ['update', message]]))
    expect(kit.agent.lastPrompt).toBe('x')
  })

  test('makes a branch that is not there', async () => {
    const { kit, provider, events } = configured({ github: { token: 'ghp_x', repository: 'o/r' } }, {
      run: (line) => (line.endsWith('git checkout topic') ? Promise.reject(new Error('none')) : success),
    })
    await kit.generateCode({ prompt: 'x', branch: 'topic' })
    expect(lines(provider)).toContain('cd /vibe0 && git checkout -b topic')
    expect(events).toContainEqual(['update', GIT('Branch topic not found, creating new branch')])
  })

  test('without a repository knows no branch, and with a session makes no directory', async () => {
    const { kit, provider, events } = configured({ sessionId: 'kept' })
    await kit.generateCode({ prompt: 'x', branch: 'topic' })
    expect(provider.calls[0]).toEqual(['resume', 'kept'])
    expect(lines(provider)).toHaveLength(1)
    // The configured id, whatever the sandbox calls itself.
    expect(events[0]).toEqual(['stdout', '{"type": "start", "sandbox_id": "kept"}'])
  })

  test('passes background to every step', async () => {
    const { kit, provider } = configured()
    await kit.generateCode({ prompt: 'x', background: true })
    expect(provider.calls.at(-1)[2]).toContainEqual(['background', true])
  })

  test('tells a failure to the callback and to listeners, and rejects with the same', async () => {
    const { kit, events } = configured({}, { run: (line) => (line.includes('codex') ? Promise.reject(new Error('boom')) : success) })
    const errors = []
    const error = await reasonOf(kit.generateCode({ prompt: 'x', callbacks: { onError: (message) => errors.push(message) } }))
    expect(error.message).toBe('Failed to generate code: boom')
    expect(errors).toEqual([error.message])
    expect(events.at(-1)).toEqual(['error', error.message])
    expect(events.filter(([name]) => name === 'stderr')).toEqual([])
  })

  test('takes the oldest form', async () => {
    const { kit, provider } = configured()
    const updates = []
    await kit.generateCode('OLD', 'ask', [{ role: 'user', content: 'BEFORE' }], { onUpdate: (message) => updates.push(message) })
    const prompt = received('bash', lines(provider).at(-1)).argv.at(-1)
    expect(prompt).toContain('User: OLD')
    expect(prompt).toContain('BEFORE')
    expect(updates).toHaveLength(2)
  })
})

describe('executeCommand()', () => {
  test('makes the directory, runs there, and tells its callbacks both streams', async () => {
    const { kit, provider, events } = configured({}, {
      run: (line, { onStdout, onStderr } = {}) => {
        if (line.endsWith('cmd')) for (const tell of [onStdout, onStderr]) tell('{"a":1}\n')
        return success
      },
    })
    const updates = []
    await kit.executeCommand('cmd', { callbacks: { onUpdate: (message) => updates.push(message) }, timeoutMs: 5, background: true, useRepoContext: true })
    expect(provider.calls.at(-1)).toEqual(['run', 'cd /vibe0 && cmd', [['timeoutMs', 5], ['background', true], ['onStdout', 'function'], ['onStderr', 'function']]])
    expect(updates.slice(1, -1)).toEqual(['{"a":1}', '{"a":1}'])
    expect(events.filter(([name]) => name === 'stderr')).toEqual([])
  })

  test('a failure is an error', async () => {
    const { kit, events } = configured({}, { run: (line) => (line.endsWith('cmd') ? Promise.reject(new Error('boom')) : success) })
    expect((await reasonOf(kit.executeCommand('cmd'))).message).toBe('Failed to execute command: boom')
    expect(events.at(-1)).toEqual(['error', 'Failed to execute command: boom'])
  })
})

test('runTests() takes a branch, a history and callbacks, or nothing', async () => {
  const { kit, provider } = configured({ github: { token: 'ghp_x', repository: 'o/r' } })
  const updates = []
  await kit.runTests({ branch: 'topic', history: [{ role: 'user', content: 'BEFORE' }], callbacks: { onUpdate: (message) => updates.push(message) } })
  expect(lines(provider)).toContain('cd /vibe0 && git checkout topic')
  expect(lines(provider).at(-1)).toContain('Install dependencies and run tests')
  expect(lines(provider).at(-1)).toContain('BEFORE')
  expect(updates.length).toBeGreaterThan(2)
  await kit.runTests()
  expect(lines(provider).filter((line) => line.includes('git clone'))).toHaveLength(1)
})

test('setGithubToken() and setGithubRepository() are effective at once, and fill in the missing half', async () => {
  const config = { agent: { type: 'codex', model: model() }, environment: ENVIRONMENT }
  const provider = recordingProvider()
  const kit = new VibeKit(config).withSandbox(provider)
  expect(kit.setGithubToken('ghp_x')).toBeUndefined()
  expect(config.github).toEqual({ token: 'ghp_x', repository: '' })
  kit.setGithubRepository('o/r')
  expect(config.github).toEqual({ token: 'ghp_x', repository: 'o/r' })
  await kit.generateCode('x')
  expect(lines(provider)).toContain('cd /vibe0 && git clone https://github.com/o/r.git .')
})

test.each([
  ['createPullRequest', [], 'GitHub configuration is required for creating pull requests. Please provide githubToken and repoUrl in your configuration.'],
  ['pushToBranch', [], 'No branch specified. Either pass a branch name or call generateCode with a branch first.'],
])('%s() says what is missing before there is a sandbox', async (method, parameters, message) => {
  const { kit, provider } = configured()
  expect((await reasonOf(kit[method](...parameters))).message).toBe(message)
  expect(provider.calls).toEqual([])
})

test('the session of the configuration is visible, resumed, changed and forgotten', async () => {
  const { kit, provider } = configured({ sessionId: 'one' })
  expect(await kit.getSession()).toBe('one')
  await kit.executeCommand('x')
  await kit.setSession('two')
  expect(await kit.getSession()).toBe('two')
  await kit.executeCommand('x')
  await kit.kill()
  expect(await kit.getSession()).toBeNull()
  expect(provider.calls.filter(([name]) => name !== 'run')).toEqual([['resume', 'one'], ['resume', 'two'], ['kill']])
})
