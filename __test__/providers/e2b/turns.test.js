'use strict'

/** Whole turns of agents at E2B, with stubs in place of their programs that write down what reached them. */

const { execFile } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { VibeKit } = require('vibekit-native')
const { installStub } = require('../../../testing/stub-agent')
const { AGENTS } = require('../../agents/stubs')
const { startDouble } = require('../support/double')
const { reasonOf } = require('../../local/support')
const { KEY } = require('./clients')

const execute = promisify(execFile)
const stubs = path.join(__dirname, '../../../target', `stubs-e2b-turns-${process.pid}`)
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')
const RECORD = '/vibe0/record.json'
const SECRET = 'a-secret-key'
let double, e2b

beforeAll(async () => {
  installStub(stubs, AGENTS)
  double = await startDouble('e2b', { PATH: `${stubs}:${process.env.PATH}` })
  e2b = { apiKey: KEY, apiUrl: double.url, sandboxUrl: double.url }
}, 600_000)

afterAll(() => fs.rmSync(stubs, { recursive: true, force: true }))

const open = []
afterEach(async () => {
  for (const kit of open.splice(0)) await kit.kill()
  expect(await double.leftovers()).toEqual([])
})

/** An object over the double, and its events. */
function kitOf(type, { secrets, ...more } = {}) {
  const kit = new VibeKit({ agent: { type, model: { apiKey: SECRET } }, environment: { e2b }, secrets: { STUB_RECORD: RECORD, ...secrets }, ...more })
  const events = []
  kit.on('event', (event) => events.push(event))
  open.push(kit)
  return { kit, events }
}

const recordOf = async (kit) => JSON.parse((await kit.executeCommand(`cat ${RECORD}`)).stdout)
const lines = (...events) => events.map((event) => `${JSON.stringify(event)}\n`).join('')

const HOSTILE = `It's "quoted" $HOME \`id\` $(id) \\ \\n ! %s -n -- && ; | > * ~ # {}\r\n\tsecond \u001b[31mline\u2028 é 日本 🎉 👩‍👩‍👧\n'; exit 9 #`

describe.each(AGENTS)('%s', (type) => {
  test('gets the prompt as it is, works, and tells of it', async () => {
    await double.requests()
    const { kit, events } = kitOf(type)
    const result = await kit.generateCode({ prompt: HOSTILE, mode: 'code' })
    expect(result).toMatchObject({ exitCode: 0 })
    const { name, args, cwd, env, stdin } = await recordOf(kit)
    expect({ name, cwd, stdin }).toEqual({ name: type, cwd: '/vibe0', stdin: { bytes: Buffer.byteLength(HOSTILE), sha256: sha256(HOSTILE) } })
    expect(args.join(' ')).not.toContain(SECRET)
    expect(Object.values(env)).toContain(SECRET)
    expect(events.map((event) => event.seq)).toEqual([...events.map((event) => event.seq)].sort((a, b) => a - b))
    expect(events.filter((event) => event.type === 'finished')).toHaveLength(1)
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'Done.' })
    // The service keeps the metadata of a sandbox and shows it in its lists.
    const created = (await double.requests()).find((one) => one.method === 'POST' && one.path === '/v2/sandboxes')
    expect(JSON.parse(created.body).templateID).toBe(`vibekit-${type}`)
    expect(JSON.stringify(JSON.parse(created.body).metadata)).not.toContain(SECRET)
  })

  test('gets a mebibyte of it', async () => {
    const prompt = `${HOSTILE}\n`.repeat(Math.ceil((1 << 20) / Buffer.byteLength(HOSTILE)))
    const { kit } = kitOf(type)
    await kit.generateCode({ prompt })
    expect((await recordOf(kit)).stdin).toEqual({ bytes: Buffer.byteLength(prompt), sha256: sha256(prompt) })
  })
})

test('another process goes on with the session', async () => {
  const { kit, events } = kitOf('codex')
  await kit.generateCode({ prompt: 'First.' })
  await kit.executeCommand('echo kept >kept')
  expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success' })
  const id = await kit.getSession()
  await kit[Symbol.asyncDispose]()
  open.pop()

  const { stdout } = await execute(process.execPath, [path.join(__dirname, 'continue.js'), JSON.stringify(e2b), 'codex', id, HOSTILE], { timeout: 30_000 })
  const told = JSON.parse(stdout)
  expect(told.session).toBe(id)
  expect(told.events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success' })
  const [kept, ...record] = told.stdout.split('\n')
  expect(kept).toBe('kept')
  const { args, stdin } = JSON.parse(record.join('\n'))
  expect(stdin.sha256).toBe(sha256(HOSTILE))
  // The conversation the first process began; it was told of it by the sandbox alone.
  expect(args).toContain('stub')

  const { kit: back } = kitOf('codex')
  await back.setSession(id)
  expect((await back.executeCommand('cat kept')).stdout).toBe('kept\n')
})

test('usage is counted', async () => {
  const output = lines(
    { type: 'thread.started', thread_id: 'stub' },
    { type: 'item.completed', item: { id: 'item_0', type: 'agent_message', text: 'Done.' } },
    { type: 'turn.completed', usage: { input_tokens: 100, cached_input_tokens: 40, output_tokens: 7 } },
  )
  const { kit, events } = kitOf('codex', { secrets: { STUB_OUTPUT: output } })
  await kit.generateCode({ prompt: 'x' })
  const usage = { inputTokens: 60, cachedInputTokens: 40, outputTokens: 7 }
  expect(events.map((event) => event.type)).toEqual(['session_started', 'text', 'usage', 'finished'])
  expect(events.find((event) => event.type === 'usage')).toMatchObject(usage)
  expect(events.at(-1)).toMatchObject({ type: 'finished', usage })
})

test('an agent that fails is told as one', async () => {
  const { kit, events } = kitOf('claude', { secrets: { STUB_OUTPUT: '', STUB_ERRORS: 'no way\n', STUB_EXIT: '7' } })
  const error = await reasonOf(kit.generateCode({ prompt: 'x' }))
  expect(error).toMatchObject({ code: 'AGENT_FAILED', exitCode: 7 })
  expect(error.stderr).toContain('no way')
  expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'error' })
})

test('a paused session is resumed by its next user, with what ran in it', async () => {
  const { kit } = kitOf('codex')
  await kit.executeCommand('(while sleep 0.05; do echo >>/tmp/beats; done) >/dev/null 2>&1 & echo kept >kept')
  await kit.pause()
  expect(await double.tell('sandboxes')).toMatchObject([{ paused: true }])
  const { kit: other } = kitOf('codex')
  await other.setSession(await kit.getSession())
  expect((await other.executeCommand('cat kept; n=$(wc -l </tmp/beats); while [ $(wc -l </tmp/beats) = $n ]; do sleep 0.02; done')).stdout).toBe('kept\n')
  expect(await other.getHost(8080)).toBe(`8080-${await kit.getSession()}.e2b.app`)
})

test('a session of the published provider is taken up by the id it gave', async () => {
  const { kit } = kitOf('codex')
  await kit.executeCommand('echo kept >kept')
  const { kit: other } = kitOf('codex')
  await other.setSession(`${await kit.getSession()}-6532622b`)
  expect((await other.executeCommand('cat kept')).stdout).toBe('kept\n')
})

test('a turn that is cancelled leaves no process behind', async () => {
  const { kit, events } = kitOf('codex', { secrets: { PATH: `/vibe0/bin:${process.env.PATH}` } })
  await kit.executeCommand(`mkdir -p bin && printf '%s\\n' '#!/bin/sh' 'sleep 600 & echo on >/tmp/on; sleep 600' >bin/codex && chmod +x bin/codex`)
  const stop = new AbortController()
  const turn = reasonOf(kit.generateCode({ prompt: 'x', signal: stop.signal }))
  await kit.executeCommand('while [ ! -e /tmp/on ]; do sleep 0.02; done')
  stop.abort()
  expect(await turn).toBe(stop.signal.reason)
  expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'cancelled' })
  expect((await double.tell('sandboxes'))[0].processes).toEqual([])
})

test('the page on sessions runs as it is written', async () => {
  const env = { ...process.env, OPENAI_API_KEY: 'sk-test', E2B_API_KEY: KEY, E2B_API_URL: double.url, E2B_SANDBOX_URL: double.url }
  const { stdout, stderr } = await execute(process.execPath, [path.join(__dirname, 'page.js')], { env, timeout: 30_000 })
  expect(stderr).toBe('')
  const told = JSON.parse(stdout)
  expect(told).toMatchObject({ before: null, result: { exitCode: 0 }, more: { exitCode: 0 }, after: null })
  expect(told.sessionId).toMatch(/^[a-z0-9]+$/)
  expect([told.current, told.same]).toEqual([told.sessionId, told.sessionId])
  expect(told.host).toBe(`3000-${told.sessionId}.e2b.app`)
})
