'use strict'

/** Daytona over its double: what only this provider has. The conformance suite has the rest. */

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { VibeKit, createDaytonaProvider } = require('vibekit-native')
const { installStub } = require('../../../testing/stub-agent')
const { startDouble } = require('../support/double')
const { reasonOf } = require('../../local/support')

const stubs = path.join(__dirname, '../../../target', `stubs-daytona-${process.pid}`)
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')
let double

beforeAll(async () => {
  installStub(stubs, ['claude', 'codex', 'gemini', 'grok', 'opencode'])
  double = await startDouble('daytona', { PATH: `${stubs}:${process.env.PATH}` })
}, 600_000)

afterAll(() => fs.rmSync(stubs, { recursive: true, force: true }))
beforeEach(async () => {
  await double.settings({ generation: 'proxy', states: ['creating', 'started'], frame: 32768 })
  await double.requests()
})
afterEach(async () => expect(await double.leftovers()).toEqual([]))

const provider = (more) => createDaytonaProvider({ apiKey: 'dtn_key', apiUrl: `${double.url}/api`, ...more })

describe.each(['proxy', 'api'])('through the %s', (generation) => {
  beforeEach(() => double.settings({ generation }))

  test.each(['claude', 'codex', 'gemini', 'grok', 'opencode'])('a whole turn of %s', async (type) => {
    const prompt = `It's "quoted" $HOME \`id\` $(id) \\ ! %s ✓ 日本 🎉\nsecond line\ttab\n`
    const kit = new VibeKit({
      agent: { type, model: { apiKey: 'a-secret-key' } },
      environment: { daytona: { apiKey: 'dtn_key', apiUrl: `${double.url}/api` } },
      secrets: { STUB_RECORD: '/vibe0/record.json' },
    })
    try {
      const result = await kit.generateCode({ prompt, mode: 'code' })
      expect(result).toMatchObject({ exitCode: 0 })
      const record = JSON.parse((await kit.executeCommand('cat record.json')).stdout)
      expect(record.cwd).toBe('/vibe0')
      expect(Object.values(record.env)).toContain('a-secret-key')
      // Byte for byte, whatever a shell would make of it.
      expect(record.stdin).toEqual({ bytes: Buffer.byteLength(prompt), sha256: sha256(prompt) })
      expect(await kit.getSession()).toBeTruthy()
    } finally {
      await kit.kill()
    }
    // What the service keeps and shows of commands holds no secret.
    const lines = (await double.requests()).filter((one) => one.path.endsWith('/exec')).map((one) => one.body.command)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join('\n')).not.toContain('a-secret-key')
  }, 60_000)
})

test('the exit code is the true one, and output comes while the command runs', async () => {
  const sandbox = await provider().create()
  let seen
  const first = new Promise((resolve) => (seen = resolve))
  const run = sandbox.commands.run('echo one; while [ ! -e go ]; do sleep 0.05; done; exit 3', { onStdout: seen })
  expect(await first).toBe('one\n')
  await sandbox.files.write('go', '')
  expect(await run).toEqual({ exitCode: 3, stdout: 'one\n', stderr: '' })
  await sandbox.kill()
})

test('a stream that breaks off is taken up again, without a gap and nothing twice', async () => {
  await double.settings({ frame: 100 })
  for (const frames of [3, 1, 5]) await double.cut(frames)
  const sandbox = await provider().create()
  const { stdout, exitCode } = await sandbox.commands.run('seq 1 2000')
  expect(stdout).toBe(Array.from({ length: 2000 }, (_, index) => `${index + 1}\n`).join(''))
  expect(exitCode).toBe(0)
  await sandbox.kill()
})

test.each(['stopped', 'archived', 'paused'])('a sandbox that is %s is started when it is resumed', async (state) => {
  const sandbox = await provider().create()
  await sandbox.files.write('kept', 'yes')
  await double.state(sandbox.sandboxId, state)
  const again = await provider().resume(sandbox.sandboxId)
  expect(again.processesLost).toBe(state !== 'paused')
  expect((await again.commands.run('cat kept')).stdout).toBe('yes')
  await again.kill()
})

test('a session that has vanished is made again', async () => {
  const sandbox = await provider().create()
  await sandbox.commands.run('true')
  // Its sessions go with it.
  await double.state(sandbox.sandboxId, 'stopped')
  await double.state(sandbox.sandboxId, 'started')
  expect((await sandbox.commands.run('echo back')).stdout).toBe('back\n')
  await sandbox.kill()
})

test('getHost is the URL of the preview', async () => {
  const sandbox = await provider().create()
  expect(await sandbox.getHost(3000)).toBe(`${double.url}/preview/${sandbox.sandboxId}/3000`)
  await sandbox.kill()
})

test('a region is asked for', async () => {
  const sandbox = await provider({ target: 'eu' }).create()
  await sandbox.kill()
  const asked = (await double.requests()).find((one) => one.method === 'POST' && one.path === '/api/sandbox')
  expect(asked.body.target).toBe('eu')
})

test('a JWT goes with its organisation', async () => {
  await double.settings({ jwt: 'a.jwt.token', organization: 'org-1' })
  const apiUrl = `${double.url}/api`
  const sandbox = await createDaytonaProvider({ jwtToken: 'a.jwt.token', organizationId: 'org-1', apiUrl }).create()
  await double.requests()
  await sandbox.commands.run('true')
  await sandbox.kill()
  // Every request, the one that opens a WebSocket included.
  const asked = await double.requests()
  expect(asked.length).toBeGreaterThan(2)
  expect(asked.filter((one) => one.headers['x-daytona-organization-id'] !== 'org-1')).toEqual([])
  const wrong = createDaytonaProvider({ jwtToken: 'a.jwt.token', organizationId: 'org-2', apiUrl })
  expect(await reasonOf(wrong.create())).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
})

describe('what is refused says why, and leaves nothing behind', () => {
  test.each([
    ['a wrong key', {}, { apiKey: 'wrong-key-000' }, { code: 'AUTHENTICATION_FAILED', field: 'options.apiKey' }],
    ['an unknown region', {}, { target: 'nowhere' }, { code: 'INVALID_ARGUMENT', field: 'options.target' }],
    ['an image that cannot be built', { states: ['pending_build', 'building_snapshot', 'build_failed'], errorReason: 'pull access denied' }, {}, { code: 'PROVIDER_FAILED', field: 'options.image', buildLog: expect.stringContaining('pull access denied') }],
    ['a runner without room', { states: ['creating', 'error'], errorReason: 'no space left on device' }, {}, { code: 'PROVIDER_FAILED', message: expect.stringContaining('no space left on device') }],
    ['a start that takes too long', { states: ['creating'] }, { createTimeoutMs: 300 }, { code: 'TIMEOUT', field: 'options.createTimeoutMs' }],
  ])('%s', async (_, settings, options, expected) => {
    await double.settings(settings)
    const error = await reasonOf(provider(options).create())
    expect(error).toMatchObject(expected)
    expect(error.message + error.stack).not.toContain('wrong-key-000')
  })

  test.each([
    ['quota', 403, { message: 'Total CPU limit exceeded. Maximum allowed: 10.' }, 'CONCURRENCY_LIMIT'],
    ['rights', 403, { message: 'Forbidden resource' }, 'PERMISSION_DENIED'],
    ['a failure of the service', 500, { message: 'Internal server error' }, 'PROVIDER_FAILED'],
  ])('%s', async (_, status, body, code) => {
    await double.refuse({ method: 'POST', path: '/api/sandbox', status, body, times: 1 })
    expect(await reasonOf(provider().create())).toMatchObject({ code, message: expect.stringMatching(/^Failed to create Daytona sandbox: /) })
  })

  test('a full disk', async () => {
    const sandbox = await provider().create()
    await double.refuse({ method: 'POST', path: 'bulk-upload', status: 400, body: { message: 'write /vibe0/file: no space left on device' }, times: 1 })
    expect(await reasonOf(sandbox.files.write('file', 'content'))).toMatchObject({ code: 'DISK_FULL', hint: expect.stringContaining('resources.disk') })
    await sandbox.kill()
  })

  test('a sandbox that is not there', async () => {
    const error = await reasonOf(provider().resume('00000000-0000-4000-8000-ffffffffffff'))
    expect(error).toMatchObject({ code: 'SESSION_NOT_FOUND' })
  })

  test('a sandbox that is stopped while a command runs', async () => {
    const sandbox = await provider().create()
    let started
    const ready = new Promise((resolve) => (started = resolve))
    const run = reasonOf(sandbox.commands.run('echo ready; sleep 1000', { onStdout: started }))
    await ready
    await double.state(sandbox.sandboxId, 'stopped')
    expect(await run).toMatchObject({ code: 'SANDBOX_LOST', stdout: 'ready\n' })
    await (await provider().resume(sandbox.sandboxId)).kill()
  })
})
