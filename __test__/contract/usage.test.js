'use strict'

/** The SDK as two official templates and a web server use it. */

const http = require('node:http')
const { once } = require('node:events')
const { VibeKit } = require('vibekit-native')
const { recordingProvider } = require('../support/provider')

const success = { exitCode: 0, stdout: '', stderr: '' }

test('codex-clone: a configuration, a session set first, pause, and every line of stdout parsed', async () => {
  const provider = recordingProvider({
    run: (_line, { onStdout } = {}) => {
      onStdout?.('{"type":"message","text":"a"}\n{"type":"patch"}\n')
      return { ...success, stdout: '{"type":"message","text":"a"}\n{"type":"patch"}\n' }
    },
  })
  const vibekit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k', name: 'codex-mini' } }, environment: { e2b: { apiKey: 'e2b' } } }).withSandbox(provider)
  await vibekit.setSession('task-session')
  const updates = []
  const response = await vibekit.generateCode({ prompt: 'add a button', mode: 'code', callbacks: { onUpdate: (message) => updates.push(JSON.parse(message)) } })
  await vibekit.pause()
  expect(provider.calls[0]).toEqual(['resume', 'task-session'])
  expect(provider.calls.at(-1)).toEqual(['pause'])
  expect(response.sandboxId).toBe('task-session')
  expect(response.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).type)).toEqual(['message', 'patch'])
  expect(updates.map(({ type }) => type)).toEqual(['start', 'message', 'patch', 'end'])
})

test('v0-clone: fluent, a listener that parses everything, own commands, a host, and setSession() before kill()', async () => {
  const provider = recordingProvider({ run: (_line, { onStdout } = {}) => (onStdout?.('{"type":"assistant"}\n'), { ...success, stdout: 'said "yes"\n' }) })
  const agent = { type: 'claude', provider: 'anthropic', apiKey: 'k', model: 'm' }
  const vibekit = new VibeKit().withAgent(agent).withSandbox(provider).withSession('app')
  const types = []
  vibekit.on('stdout', (data) => types.push(JSON.parse(data).type))
  await vibekit.executeCommand('echo "build it" | claude -p', { background: true })
  expect(`https://${await vibekit.getHost(3000)}`).toBe('https://3000-app.example')
  expect(types).toEqual(['assistant', 'end'])

  // The action that deletes an app has nothing but its session.
  const deleting = new VibeKit().withAgent(agent).withSandbox(provider)
  await deleting.setSession('app')
  await deleting.executeCommand('true')
  await deleting.kill()
  expect(provider.calls.at(-1)).toEqual(['kill'])
  expect(await deleting.getSession()).toBeNull()
})

test('a web server with a hundred users at once keeps them apart', async () => {
  let open = 0
  const server = http.createServer(async (request, response) => {
    const user = request.url.slice(1)
    const provider = recordingProvider({
      create: () => ({ ...recordingProvider().instance(`sandbox-${user}`), kill: async () => void open-- }),
      run: () => success,
    })
    const create = provider.create
    provider.create = async (...args) => {
      open++
      const sandbox = await create(...args)
      sandbox.commands = {
        run: async (line, { onStdout } = {}) => {
          onStdout?.(`{"user":`)
          await new Promise(setImmediate)
          onStdout?.(`"${user}"}`)
          return { ...success, stdout: line }
        },
      }
      return sandbox
    }
    const vibekit = new VibeKit().withAgent({ type: 'codex', apiKey: `key-${user}` }).withSandbox(provider)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    vibekit.on('stdout', (message) => response.write(`${message}\n`))
    const results = await Promise.all([vibekit.executeCommand('a'), vibekit.executeCommand('b')])
    await vibekit.kill()
    response.end(results.map(({ sandboxId }) => sandboxId).join(' '))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address()
    const answers = await Promise.all(Array.from({ length: 100 }, async (_, user) => (await fetch(`http://127.0.0.1:${port}/${user}`)).text()))
    answers.forEach((answer, user) => {
      expect(answer.endsWith(`sandbox-${user} sandbox-${user}`)).toBe(true)
      expect([...answer.matchAll(/\{"user":"(\d+)"\}/g)].map(([, name]) => name)).toEqual([String(user), String(user)])
    })
    expect(open).toBe(0)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
