'use strict'

/** Northflank over its double: what only this provider has. The conformance suite has the rest. */

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { VibeKit, createNorthflankProvider } = require('vibekit-native')
const { installStub } = require('../../../testing/stub-agent')
const { startDouble } = require('../support/double')
const { reasonOf } = require('../../local/support')

const KEY = 'nf-key-000000'
const stubs = path.join(__dirname, '../../../target', `stubs-northflank-${process.pid}`)
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')
let double

beforeAll(async () => {
  installStub(stubs, ['claude', 'codex', 'gemini', 'grok', 'opencode'])
  double = await startDouble('northflank', { PATH: `${stubs}:${process.env.PATH}` })
}, 600_000)

afterAll(() => fs.rmSync(stubs, { recursive: true, force: true }))
beforeEach(async () => {
  await double.settings({ states: ['PENDING', 'IN_PROGRESS', 'COMPLETED'] })
  await double.requests()
})

afterEach(async () => {
  // What is cleared up after a failure is so in the background.
  for (let look = 0; look < 100 && (await double.leftovers()).length > 0; look++) await new Promise((resolve) => setTimeout(resolve, 50))
  expect(await double.leftovers()).toEqual([])
})

const provider = (more) => createNorthflankProvider({ apiKey: KEY, projectId: 'project', apiUrl: double.url, workingDirectory: '/vibe0', ...more })

test.each(['claude', 'codex', 'gemini', 'grok', 'opencode'])('a whole turn of %s', async (type) => {
  const prompt = `It's "quoted" $HOME \`id\` $(id) \\ ! %s ✓ 日本 🎉\nsecond line\ttab\n`
  const kit = new VibeKit({
    agent: { type, model: { apiKey: 'a-secret-key' } },
    environment: { northflank: { apiKey: KEY, projectId: 'project', apiUrl: double.url } },
    secrets: { STUB_RECORD: '/vibe0/record.json' },
  })
  try {
    expect(await kit.generateCode({ prompt, mode: 'code' })).toMatchObject({ exitCode: 0 })
    const record = JSON.parse((await kit.executeCommand('cat record.json')).stdout)
    expect(record.cwd).toBe('/vibe0')
    // Byte for byte, whatever a shell would make of it.
    expect(record.stdin).toEqual({ bytes: Buffer.byteLength(prompt), sha256: sha256(prompt) })
    expect(Object.values(record.env)).toContain('a-secret-key')
  } finally {
    await kit.kill()
  }
}, 60_000)

test('a port keeps those that are there', async () => {
  const sandbox = await provider().create()
  const first = await sandbox.getHost(3000)
  const second = await sandbox.getHost(4000)
  expect(first).toMatch(/^p-3000--/)
  expect(second).toMatch(/^p-4000--/)
  expect(await sandbox.getHost(3000)).toBe(first)
  const asked = (await double.requests()).filter((one) => one.method === 'POST' && one.path.endsWith('/ports'))
  expect(asked.map((one) => one.body.ports.map((port) => port.internalPort))).toEqual([[3000], [3000, 4000]])
  await sandbox.kill()
})

test('the volume goes with its service', async () => {
  const sandbox = await provider().create()
  expect(await double.leftovers()).toEqual([`service ${sandbox.sandboxId}`, `volume data-${sandbox.sandboxId}`])
  await sandbox.kill()
  expect(await double.leftovers()).toEqual([])
})

test('output comes while the command runs', async () => {
  const sandbox = await provider().create()
  let seen
  const first = new Promise((resolve) => (seen = resolve))
  const run = sandbox.commands.run('echo one; while [ ! -e go ]; do sleep 0.05; done; exit 3', { onStdout: seen })
  expect(await first).toBe('one\n')
  await sandbox.files.write('go', '')
  expect(await run).toEqual({ exitCode: 3, stdout: 'one\n', stderr: '' })
  await sandbox.kill()
})

test('pause ends processes and keeps files, resume goes on', async () => {
  const sandbox = await provider().create()
  await sandbox.files.write('kept', 'yes')
  await sandbox.pause()
  expect(await reasonOf(sandbox.commands.run('true'))).toMatchObject({ code: 'SANDBOX_PAUSED' })
  const again = await provider().resume(sandbox.sandboxId)
  expect((await again.commands.run('cat kept')).stdout).toBe('yes')
  await again.kill()
})

test('a background command runs on', async () => {
  const sandbox = await provider().create()
  expect(await sandbox.commands.run('while [ ! -e go ]; do sleep 0.05; done; echo done >done', { background: true })).toMatchObject({ exitCode: 0 })
  await sandbox.files.write('go', '')
  expect((await sandbox.commands.run('while [ ! -s done ]; do sleep 0.05; done; cat done')).stdout).toBe('done\n')
  await sandbox.kill()
})

describe('a command that cannot be one is rejected, and never hangs', () => {
  test.each([
    ['a refused token', 'refused', { code: 'AUTHENTICATION_FAILED', field: 'options.apiKey' }],
    ['an error of the service', 'error', { code: 'PROVIDER_FAILED', message: expect.stringContaining('Something went wrong on our side') }],
    ['a connection that breaks off at once', { cut: 0 }, { code: 'PROVIDER_FAILED' }],
    ['a connection that breaks off after the start', { cut: 2 }, { code: 'PROVIDER_FAILED', retryable: true }],
  ])('%s', async (_, trouble, expected) => {
    const sandbox = await provider().create()
    await double.trouble(trouble)
    const error = await reasonOf(sandbox.commands.run('echo out; sleep 0.2; echo more'))
    expect(error).toMatchObject(expected)
    expect(`${error.message}${error.stack}`).not.toContain(KEY)
    expect((await sandbox.commands.run('echo fine')).stdout).toBe('fine\n')
    await sandbox.kill()
  })

  test('a result that never comes is told by the command itself', async () => {
    const sandbox = await provider().create()
    await double.trouble('noCompletion')
    expect(await sandbox.commands.run('echo out; exit 3')).toMatchObject({ exitCode: 3, stdout: 'out\n' })
    await sandbox.kill()
  })
})

describe('what is refused says why, and leaves nothing behind', () => {
  test.each([
    ['a wrong key', { apiKey: 'wrong-key-000' }, { code: 'AUTHENTICATION_FAILED', field: 'options.apiKey' }],
    ['an unknown project', { projectId: 'nowhere' }, { code: 'INVALID_ARGUMENT', field: 'options.projectId' }],
    ['an unknown plan', { billingPlan: 'gold' }, { code: 'INVALID_ARGUMENT', field: 'options.billingPlan' }],
  ])('%s', async (_, options, expected) => {
    const error = await reasonOf(provider(options).create())
    expect(error).toMatchObject(expected)
    expect(error.message + error.stack).not.toContain('wrong-key-000')
  })

  test('a deployment that fails', async () => {
    await double.settings({ states: ['PENDING', 'FAILED'] })
    expect(await reasonOf(provider().create())).toMatchObject({ code: 'PROVIDER_FAILED', message: expect.stringMatching(/^Sandbox deployment failed for sandbox-/) })
  })

  test('a deployment that takes too long', async () => {
    await double.settings({ states: ['PENDING'] })
    expect(await reasonOf(provider({ createTimeoutMs: 200 }).create())).toMatchObject({ code: 'TIMEOUT', field: 'options.createTimeoutMs' })
  })

  test.each([['volumes', 'creating a volume'], ['scale', 'scaling the service']])('a failure at %s', async (step, doing) => {
    await double.refuse({ method: 'POST', path: step, status: 400, body: { error: { status: 400, message: 'no' } }, times: 1 })
    expect(await reasonOf(provider().create())).toMatchObject({ code: 'PROVIDER_FAILED', message: expect.stringContaining(doing) })
  })

  test('a quota', async () => {
    await double.refuse({ method: 'POST', path: 'services/deployment', status: 400, body: { error: { status: 400, message: 'Project quota exceeded' } }, times: 1 })
    expect(await reasonOf(provider().create())).toMatchObject({ code: 'CONCURRENCY_LIMIT', hint: expect.any(String) })
  })

  test('a name that is taken is not insisted on', async () => {
    const taken = { method: 'POST', path: 'services/deployment', status: 409, body: { error: { status: 409, message: 'A service with this name already exists' } } }
    await double.refuse({ ...taken, times: 2 })
    await (await provider().create()).kill()
    const names = (await double.requests()).filter((one) => one.method === 'POST' && one.path.endsWith('/services/deployment')).map((one) => one.body.name)
    expect(new Set(names).size).toBe(3)
    await double.refuse({ ...taken, times: 3 })
    expect(await reasonOf(provider().create())).toMatchObject({ code: 'PROVIDER_FAILED', field: 'options.projectId', hint: expect.any(String) })
  })

  test('a full disk', async () => {
    const sandbox = await provider().create()
    expect(await reasonOf(sandbox.files.write('/dev/full', 'content'))).toMatchObject({ code: 'DISK_FULL', hint: expect.stringContaining('persistentVolumeStorage') })
    await sandbox.kill()
  })

  test('a sandbox that is not there', async () => {
    expect(await reasonOf(provider().resume('sandbox-000000000000'))).toMatchObject({ code: 'SESSION_NOT_FOUND' })
  })
})
