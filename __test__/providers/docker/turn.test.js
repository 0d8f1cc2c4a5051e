'use strict'

/** Containers of a real engine, which `npm run test:providers` starts, from JavaScript. The conformance suite has the rest. */

const crypto = require('node:crypto')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { VibeKit, createDockerProvider } = require('vibekit-native')
const { checkProvider } = require('vibekit-native/testing')
const { installStub } = require('../../../testing/stub-agent')
const { reasonOf } = require('../../local/support')

const AGENTS = ['claude', 'codex', 'gemini', 'grok', 'opencode']
const IMAGE = 'vibekit-test-agents:1'
const root = path.join(__dirname, '../../..')
const stubs = path.join(root, 'target', `stubs-docker-${process.pid}`)
const host = process.env.VIBEKIT_TEST_ENGINE
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')

const docker = (...args) => execFileSync('docker', ['--host', host, ...args], { encoding: 'utf8' }).trim()
/** Names of the containers this package has made. */
const containers = () => docker('ps', '--all', '--filter', 'label=dev.vibekit-native.sandbox', '--format', '{{.Names}}').split('\n').filter(Boolean)
const provider = (more) => createDockerProvider({ host, image: IMAGE, ports: [3000], ...more })

beforeAll(() => {
  installStub(stubs, AGENTS)
  execFileSync(path.join(root, 'testing/engine.sh'), ['image', host, IMAGE, 'node', ...AGENTS.map((name) => path.join(stubs, name))])
}, 120_000)

afterAll(() => {
  fs.rmSync(stubs, { recursive: true, force: true })
  docker('rmi', '--force', IMAGE)
})

afterEach(() => expect(containers()).toEqual([]))

test.each(AGENTS)('a whole turn of %s', async (type) => {
  const prompt = `It's "quoted" $HOME \`id\` $(id) \\ ! %s ✓ 日本 🎉\nsecond line\ttab\n`
  const kit = new VibeKit({
    agent: { type, model: { apiKey: 'a-secret-key' } },
    environment: { docker: { host, image: IMAGE } },
    secrets: { STUB_RECORD: '/vibe0/record.json' },
  })
  try {
    expect(await kit.generateCode({ prompt, mode: 'code' })).toMatchObject({ exitCode: 0 })
    const record = JSON.parse((await kit.executeCommand('cat record.json')).stdout)
    expect(record.cwd).toBe('/vibe0')
    expect(Object.values(record.env)).toContain('a-secret-key')
    // Byte for byte, whatever a shell would make of it.
    expect(record.stdin).toEqual({ bytes: Buffer.byteLength(prompt), sha256: sha256(prompt) })
    // What the engine keeps and shows of a container holds no secret.
    expect(docker('inspect', await kit.getSession())).not.toContain('a-secret-key')
  } finally {
    await kit.kill()
  }
}, 60_000)

test('the public suite passes', async () => {
  const { failures, results } = await checkProvider(provider(), { another: () => provider(), leftovers: containers })
  expect(failures).toEqual([])
  expect(results.filter(({ outcome }) => outcome === 'unsupported')).toEqual([])
}, 180_000)

test('a user without the right to the socket is told so, and what helps', async () => {
  // In a process of its own, as somebody else: root may do everything.
  const script = `
    const { createDockerProvider } = require(${JSON.stringify(root)})
    createDockerProvider({ host: ${JSON.stringify(host)} }).create().then(() => console.log('{}'), ({ code, field, hint, message }) => console.log(JSON.stringify({ code, field, hint, message })))
  `
  const socket = host.replace('unix://', '')
  fs.chmodSync(path.dirname(socket), 0o711)
  fs.chmodSync(socket, 0o600)
  const args = ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath, '--eval', script]
  const told = JSON.parse(execFileSync('setpriv', args, { encoding: 'utf8', env: { ...process.env, HOME: '/nonexistent' } }))
  expect(told).toMatchObject({ code: 'PROVIDER_FAILED', field: 'options.host', hint: expect.stringContaining('group `docker`') })
}, 60_000)

test('no engine and no image are told with field and remedy', async () => {
  expect(await reasonOf(provider({ host: 'unix:///no/such/engine.sock' }).create())).toMatchObject({ code: 'PROVIDER_FAILED', field: 'options.host', hint: expect.stringContaining('DOCKER_HOST') })
  expect(await reasonOf(provider({ image: 'vibekit-nowhere:1', pull: 'never' }).create())).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'options.image', hint: expect.stringContaining('docker pull') })
})
