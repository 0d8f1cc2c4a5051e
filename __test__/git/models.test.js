'use strict'

/** What the models of the twelve vendors are asked, with whose key, and what their answers become. */

const { VibeKit } = require('vibekit-native')
const { createModel, stubFetch } = require('../../testing/words-server')
const { reasonOf } = require('./support')

const former = globalThis.fetch
const KEYS = ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_API_KEY', 'CLAUDE_CODE_OAUTH_TOKEN']
const kept = Object.fromEntries(KEYS.map((name) => [name, process.env[name]]))

beforeEach(() => {
  for (const name of KEYS) delete process.env[name]
})

afterEach(() => {
  globalThis.fetch = former
})

afterAll(() => {
  for (const [name, value] of Object.entries(kept)) if (value !== undefined) process.env[name] = value
})

const PATCH = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n'

/** Answers the commands of `pushToBranch` as a repository with one change would. */
const provider = (patch = PATCH) => {
  const commands = []
  const run = async (line) => {
    commands.push(line)
    if (line.includes('diff')) return { exitCode: 0, stdout: patch, stderr: '' }
    return { exitCode: 0, stdout: line.includes('status') ? ' M x\n' : '', stderr: '' }
  }
  const instance = { sandboxId: 's', commands: { run }, kill: async () => {}, pause: async () => {}, getHost: async () => '' }
  return { commands, create: async () => instance, resume: async () => instance }
}

/** Pushes with an agent; gives what the model was asked. */
async function push(agent, { patch, config, prepare } = {}) {
  const model = createModel()
  const calls = []
  globalThis.fetch = async (url, init) => {
    calls.push([url, init])
    return stubFetch({ [new URL(url).host]: model })(url, init)
  }
  const sandbox = provider(patch)
  const kit = config ? new VibeKit(config).withSandbox(sandbox) : new VibeKit().withAgent(agent).withSandbox(sandbox)
  await prepare?.(kit)
  await kit.pushToBranch('b')
  expect(model.complaints).toEqual([])
  return { url: calls[0][0], headers: calls[0][1].headers, body: model.requests[0].body, prompt: model.requests[0].prompt, commands: sandbox.commands }
}

const chat = (base) => `${base}/chat/completions`

test.each([
  ['codex', 'openai', 'https://api.openai.com/v1/responses', 'gpt-5'],
  ['codex', 'openrouter', chat('https://openrouter.ai/api/v1'), 'anthropic/claude-3.5-sonnet'],
  ['opencode', 'mistral', chat('https://api.mistral.ai/v1'), 'mistral-large-latest'],
  ['opencode', 'deepseek', chat('https://api.deepseek.com/v1'), 'deepseek-chat'],
  ['opencode', 'groq', chat('https://api.groq.com/openai/v1'), 'llama-3.1-70b-versatile'],
  ['opencode', 'arceeai', chat('https://api.arcee.ai/v1'), 'arcee-lite'],
  ['opencode', 'ollama', chat('http://localhost:11434/v1'), 'llama3.1'],
  ['opencode', 'google', chat('https://generativelanguage.googleapis.com/v1beta/openai'), 'gemini-1.5-pro'],
  ['gemini', 'gemini', chat('https://generativelanguage.googleapis.com/v1beta/openai'), 'gemini-1.5-pro'],
  ['grok', 'xai', chat('https://api.x.ai/v1'), 'grok-4'],
])('%s with %s asks %s for %s', async (type, vendor, url, model) => {
  const asked = await push({ type, provider: vendor, apiKey: 'the-key' })
  expect(asked.url).toBe(url)
  expect(asked.body.model).toBe(model)
  expect(asked.headers.Authorization).toBe('Bearer the-key')
  expect(asked.prompt).toBe(`You are tasked to create a commit message based on the following task:\n\n\npatch:\n\n${PATCH}`)
})

test('Claude asks Anthropic, with its body to the letter', async () => {
  const asked = await push({ type: 'claude', provider: 'anthropic', apiKey: 'the-key' })
  expect(asked.url).toBe('https://api.anthropic.com/v1/messages')
  expect(asked.headers).toEqual({ 'Content-Type': 'application/json', 'anthropic-version': '2023-06-01', 'x-api-key': 'the-key' })
  expect(JSON.stringify(asked.body)).toBe(JSON.stringify({
    model: 'claude-3-5-sonnet-20240620', max_tokens: 4096, temperature: 0,
    messages: [{ role: 'user', content: [{ type: 'text', text: asked.prompt }] }],
    tools: [{
      name: 'json', description: 'Respond with a JSON object.',
      input_schema: {
        type: 'object',
        properties: { commitMessage: { type: 'string', description: 'Suggested commit message for the changes' } },
        required: ['commitMessage'], additionalProperties: false, $schema: 'http://json-schema.org/draft-07/schema#',
      },
    }],
    tool_choice: { type: 'tool', name: 'json' },
  }))
})

test('a subscription of Claude\'s authenticates as its own program does', async () => {
  const asked = await push({ type: 'claude', provider: 'anthropic', oauthToken: 'subscription-token' })
  expect(asked.headers).toEqual({
    'Content-Type': 'application/json', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'oauth-2025-04-20',
    Authorization: 'Bearer subscription-token',
  })
  expect(asked.body.system).toBe("You are Claude Code, Anthropic's official CLI for Claude.")
})

test('key, model and address of the configuration are used', async () => {
  process.env.OPENAI_API_KEY = 'of-the-host'
  const own = await push({ type: 'codex', provider: 'openai', apiKey: 'configured', model: 'gpt-4.1', baseUrl: 'https://proxy.example/v1/' })
  expect(own.url).toBe('https://proxy.example/v1/responses')
  expect(own.headers.Authorization).toBe('Bearer configured')
  expect(own.body).toMatchObject({ model: 'gpt-4.1', temperature: 0 })
  const azure = await push({ type: 'codex', provider: 'azure', apiKey: 'k', baseUrl: 'https://r.openai.azure.com/openai/v1' })
  expect(azure.url).toBe('https://r.openai.azure.com/openai/v1/chat/completions')
  expect((await reasonOf(push({ type: 'codex', provider: 'azure', apiKey: 'k' }))).message).toBe('baseUrl is required for Azure provider')
  const claude = await push({ type: 'claude', provider: 'anthropic', apiKey: 'k', baseUrl: 'https://proxy.example' })
  expect(claude.url).toBe('https://proxy.example/v1/messages')
})

test('a key of the host counts as it is when the model is asked', async () => {
  const missing = await reasonOf(push({ type: 'claude', provider: 'anthropic' }))
  expect(missing).toMatchObject({
    name: 'AI_LoadAPIKeyError',
    message: "Anthropic API key is missing. Pass it using the 'apiKey' parameter or the ANTHROPIC_API_KEY environment variable.",
  })
  const asked = await push({ type: 'claude', provider: 'anthropic' }, {
    prepare: async (kit) => {
      await kit.executeCommand('true')
      process.env.ANTHROPIC_API_KEY = 'late-key'
    },
  })
  expect(asked.headers['x-api-key']).toBe('late-key')
})

test('objects made from a configuration ask as 0.0.47 did', async () => {
  const config = (model) => ({ agent: { type: 'codex', model: { apiKey: 'k', ...model } }, environment: { local: {} } })
  const plain = await push(undefined, { config: config() })
  expect(plain.url).toBe('https://api.openai.com/v1/chat/completions')
  expect(plain.body).toMatchObject({ model: 'gpt-4o-mini', temperature: 0, tool_choice: { type: 'function', function: { name: 'json' } } })
  const reasoning = await push(undefined, { config: config({ name: 'o3' }) })
  expect(reasoning.body.response_format).toMatchObject({ type: 'json_schema', json_schema: { strict: true, name: 'response' } })
  expect(reasoning.body).not.toHaveProperty('temperature')
  expect(plain.commands.at(-1)).toBe('cd /vibe0 && git push origin b')
})

test('the task of the last turn is told', async () => {
  const asked = await push({ type: 'codex', provider: 'openai', apiKey: 'k' }, {
    prepare: (kit) => kit.runTests(),
  })
  expect(asked.prompt).toContain('based on the following task:\nInstall dependencies and run tests\n\npatch:')
})

test('secrets are not in what a model gets, and neither are diffs without an end', async () => {
  const key = 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'
  const hunk = (text) => `@@ -1 +1 @@\n-a\n+${text}\n`
  const head = (name) => `diff --git a/${name} b/${name}\n--- a/${name}\n+++ b/${name}\n`
  const patch = head('a.js') + hunk(`const key = '${key}'`) + hunk('const fine = 1') + head('.env') + hunk('HARMLESS=1') +
    head('long.txt') + hunk('x'.repeat(400_000))
  const { prompt } = await push({ type: 'codex', provider: 'openai', apiKey: 'k' }, { patch })
  expect(prompt).not.toContain(key)
  expect(prompt).not.toContain('HARMLESS')
  expect(prompt).toContain('const fine = 1')
  expect(prompt).toContain('+++ b/long.txt')
  expect(prompt.length).toBeLessThan(101_000)
})

describe('failures', () => {
  /** @param {(model: ReturnType<typeof createModel>) => unknown} arrange */
  async function fail(arrange, patchFetch) {
    const model = createModel()
    arrange(model)
    const fetch = stubFetch({ 'api.anthropic.com': model })
    globalThis.fetch = patchFetch ?? fetch
    const kit = new VibeKit().withAgent({ type: 'claude', provider: 'anthropic', apiKey: 'sk-ant-the-key' }).withSandbox(provider())
    const error = await reasonOf(kit.pushToBranch('b'))
    return { error, asked: fetch.calls.length }
  }

  test('a refusal is the API\'s own sentence, asked once', async () => {
    const body = { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } }
    const { error, asked } = await fail((model) => model.first.push({ status: 401, body }))
    expect(error).toMatchObject({ message: 'invalid x-api-key', name: 'AI_APICallError', statusCode: 401, responseBody: JSON.stringify(body), code: 'MODEL_FAILED' })
    expect(asked).toBe(1)
  })

  test('an overloaded API is asked three times', async () => {
    const { error, asked } = await fail((model) => {
      for (const status of [529, 500, 503]) model.first.push({ status, body: { error: { message: `busy ${status}` } } })
    })
    expect(error).toMatchObject({ name: 'AI_RetryError', message: 'Failed after 3 attempts. Last error: busy 503' })
    expect(error.cause).toMatchObject({ statusCode: 503 })
    expect(asked).toBe(3)
  }, 20_000)

  test('a connection that fails says why', async () => {
    let asked = 0
    const refused = () => {
      asked += 1
      return Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))
    }
    const { error } = await fail(() => {}, refused)
    expect(error.message).toBe('Failed after 3 attempts. Last error: Cannot connect to API: connect ECONNREFUSED')
    expect(asked).toBe(3)
  }, 20_000)

  test('an answer without the tool, and one with other words', async () => {
    const silent = await fail((model) => model.first.push({ status: 200, body: { content: [{ type: 'text', text: 'no' }] } }))
    expect(silent.error).toMatchObject({ name: 'AI_NoObjectGeneratedError', message: 'No object generated: the tool was not called.' })
    const other = await fail((model) => model.first.push({ status: 200, body: { content: [{ type: 'tool_use', input: { text: 1 } }] } }))
    expect(other.error.message).toBe('No object generated: response did not match schema.')
  })
})
