'use strict'

/** Commands in the embedded sandbox, through the public class. */

const path = require('node:path')
const { VibeKit, createLocalProvider } = require('vibekit-native')
const { succeed } = require('../support/command')
const { AGENT, localKit, reasonOf, until, open } = require('./support')

describe('executeCommand()', () => {
  test('gives code and streams of the command', async () => {
    const kit = localKit()
    expect(await kit.executeCommand('echo out; echo err >&2; exit 3')).toMatchObject({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
      sandboxId: expect.stringMatching(/^lcl_[a-z2-7]{26}$/),
    })
  })

  test('takes any text, byte for byte', async () => {
    const kit = localKit()
    const text = `it's "quoted" $HOME \`x\` \\ ! ✓ 日本 🎉 ${'x'.repeat(1000)}`
    const { stdout } = await kit.executeCommand('cat', { stdin: text })
    expect(stdout).toBe(text)
    const { stdout: shown } = await kit.executeCommand('printf %s "$TEXT"', { env: { TEXT: text } })
    expect(shown).toBe(text)
  })

  test('works on a large standard input', async () => {
    const text = 'line ✓\n'.repeat(500_000)
    const { stdout } = await localKit().executeCommand('wc -c', { stdin: text })
    expect(Number(stdout)).toBe(Buffer.byteLength(text))
  })

  test('has the working directory, the secrets and nothing of the host\'s environment', async () => {
    const kit = localKit({}, { secrets: { TOKEN: 'se cret' }, workingDirectory: '/vibe0/sub' })
    const { stdout } = await kit.executeCommand('pwd; printf "%s\\n" "$TOKEN"; env')
    expect(stdout.split('\n').slice(0, 2)).toEqual(['/vibe0/sub', 'se cret'])
    expect(stdout).not.toContain('VIBEKIT_HOME')
  })

  test('returns at once from a background command, which runs on', async () => {
    const kit = localKit()
    const start = performance.now()
    const { exitCode } = await kit.executeCommand('sleep 0.3; echo done > flag', { background: true })
    expect(exitCode).toBe(0)
    expect(performance.now() - start).toBeLessThan(5_000)
    await until(async () => (await kit.executeCommand('cat flag 2>/dev/null')).stdout === 'done\n')
  })

  test('lets a command only read, if it is told to', async () => {
    const kit = localKit()
    await kit.executeCommand('echo kept > file')
    const { stdout, stderr } = await kit.executeCommand('cat file; echo x > file; rm file; touch other; echo y > ~/own && cat ~/own', { readOnly: true })
    expect(stdout).toBe('kept\ny\n')
    expect(stderr).toMatch(/Permission denied/)
    expect((await kit.executeCommand('ls; cat file')).stdout).toBe('file\nkept\n')
  })

  test('refuses to where it cannot see to that', async () => {
    const kit = localKit({}, { workingDirectory: '/tmp/work' })
    expect(await reasonOf(kit.executeCommand('true', { readOnly: true }))).toMatchObject({ code: 'UNSUPPORTED', field: 'readOnly' })
    expect(await kit.executeCommand('true')).toMatchObject({ exitCode: 0 })
  })

  test('says what cannot be started', async () => {
    expect((await localKit().executeCommand('no-such-program-anywhere')).exitCode).toBe(127)
  })
})

describe('events', () => {
  test('come in order, and join to the result', async () => {
    const kit = localKit()
    const seen = []
    kit.on('stdout', (chunk) => seen.push(chunk))
    const { stdout } = await kit.executeCommand('for i in 1 2 3 4 5; do echo "line $i"; done')
    expect(stdout).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n')
    expect(seen.filter((chunk) => !chunk.startsWith('{"type": "')).join('')).toBe(stdout)
  })

  test.each([0, 1, 999, 1_000, 1_001, 50_000])('%i of them all come before the promise settles', async (count) => {
    const kit = localKit()
    let seen = 0
    kit.on('stdout', (message) => {
      if (message.trim().startsWith('{"n":')) seen++
    })
    await kit.executeCommand(`i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "{\\"n\\":$i}"; done`)
    const atSettlement = seen
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect({ atSettlement, seen }).toEqual({ atSettlement: count, seen: count })
  })

  test('come while the command runs', async () => {
    const kit = localKit()
    const first = new Promise((resolve) => kit.on('stdout', (chunk) => chunk.includes('early') && resolve(performance.now())))
    const command = kit.executeCommand('echo early; sleep 1; echo late')
    const [seen] = await Promise.all([first, command])
    expect(performance.now() - seen).toBeGreaterThan(500)
  })

  test('of a listener that throws are not lost, and the call goes on', async () => {
    const script = `
      const { VibeKit } = require('vibekit-native')
      const kit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { local: { ephemeral: true } } })
      let seen = 0, thrown = 0
      process.on('uncaughtException', () => thrown++)
      kit.on('stdout', (text) => { if (text.includes('"n"')) { seen++; throw new Error('listener') } })
      kit.executeCommand('for i in 1 2 3; do echo "{\\\\"n\\\\":$i}"; done').then(async ({ exitCode }) => {
        await kit.kill()
        process.stdout.write(JSON.stringify({ exitCode, seen, thrown }))
      })`
    const { stdout } = await succeed(process.execPath, ['--eval', script], { cwd: path.join(__dirname, '../..'), env: process.env })
    expect(JSON.parse(stdout)).toEqual({ exitCode: 0, seen: 3, thrown: 3 })
  })

  test('deliver output that is no UTF-8, and characters cut in two', async () => {
    const kit = localKit()
    const { stdout } = await kit.executeCommand("printf '\\342\\234'; sleep 0.1; printf '\\223 \\377.'")
    expect(stdout).toBe('✓ \ufffd.')
  })
})

describe('time limits and signals', () => {
  test('a command that takes too long is ended, grandchildren included', async () => {
    const kit = localKit()
    const start = performance.now()
    const result = await kit.executeCommand('echo before; (sleep 300 & sleep 300); sleep 300', { timeoutMs: 300 })
    expect(result).toMatchObject({ timedOut: true, stdout: 'before\n', stopped: { names: expect.arrayContaining(['sleep']) } })
    expect(result.exitCode).not.toBe(0)
    expect(performance.now() - start).toBeLessThan(10_000)
    expect((await kit.executeCommand('pgrep sleep || echo none')).stdout).toBe('none\n')
  })

  test('aborting ends the command, and tells what was stopped', async () => {
    const kit = localKit()
    await kit.executeCommand('true')
    const controller = new AbortController()
    let own = 0
    controller.signal.onabort = () => own++
    const command = reasonOf(kit.executeCommand('sleep 300 & sleep 300', { signal: controller.signal }))
    setTimeout(() => controller.abort(), 200)
    const reason = await command
    expect(reason).toBe(controller.signal.reason)
    expect(reason.name).toBe('AbortError')
    expect(reason.cause).toMatchObject({ code: 'ABORTED' })
    expect(own).toBe(1)
    expect((await kit.executeCommand('pgrep sleep || echo none')).stdout).toBe('none\n')
  })

  test('aborting with a reason of one\'s own rejects with that', async () => {
    const kit = localKit()
    await kit.executeCommand('true')
    const reason = { mine: true }
    const controller = new AbortController()
    const command = reasonOf(kit.executeCommand('sleep 300', { signal: controller.signal }))
    setTimeout(() => controller.abort(reason), 50)
    expect(await command).toBe(reason)
    expect(reason).toEqual({ mine: true })
  })

  test('AbortSignal.timeout() works', async () => {
    const kit = localKit()
    const reason = await reasonOf(kit.executeCommand('sleep 300', { signal: AbortSignal.timeout(200) }))
    expect(reason.name).toBe('TimeoutError')
  })

  test('a signal that is aborted already starts nothing', async () => {
    const kit = localKit()
    await expect(kit.executeCommand('true', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
    expect(await kit.getSession()).toBeNull()
  })
})

describe('sessions', () => {
  test('first calls made at the same time share one', async () => {
    const kit = localKit()
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => kit.executeCommand(`echo ${i}`)))
    expect(new Set(results.map(({ sandboxId }) => sandboxId)).size).toBe(1)
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, i) => `${i}\n`))
  })

  test('kill() ends what runs in it', async () => {
    const kit = localKit()
    await kit.executeCommand('true')
    const command = reasonOf(kit.executeCommand('sleep 300'))
    await new Promise((resolve) => setTimeout(resolve, 100))
    await kit.kill()
    expect(await command).toMatchObject({ code: 'SANDBOX_KILLED' })
    expect(await kit.getSession()).toBeNull()
    expect((await kit.executeCommand('echo again')).stdout).toBe('again\n')
  })

  test('a killed one cannot be resumed, and one that never was neither', async () => {
    const kit = localKit()
    const { sandboxId } = await kit.executeCommand('true')
    await kit.kill()
    for (const [id, code] of [
      [sandboxId, 'SESSION_NOT_FOUND'],
      [`lcl_${'a'.repeat(26)}`, 'SESSION_NOT_FOUND'],
      ['nonsense', 'INVALID_ARGUMENT'],
      ['../../etc', 'INVALID_ARGUMENT'],
    ]) {
      const error = await reasonOf(localKit({}, { sessionId: id }).executeCommand('true'))
      expect([id, error.code]).toEqual([id, code])
    }
  })

  test('one process at a time owns it', async () => {
    const kit = localKit()
    const { sandboxId } = await kit.executeCommand('true')
    const script = `
      const { VibeKit } = require('vibekit-native')
      const kit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { local: {} }, sessionId: '${sandboxId}' })
      kit.executeCommand('echo mine').then(({ stdout }) => kit.dispose().then(() => process.stdout.write(stdout)), ({ code }) => process.stdout.write(code))`
    const other = () => succeed(process.execPath, ['--eval', script], { cwd: path.join(__dirname, '../..'), env: process.env })
    expect((await other()).stdout).toBe('SESSION_IN_USE')
    await kit.dispose()
    expect((await other()).stdout).toBe('mine\n')
    await localKit({}, { sessionId: sandboxId }).kill()
  })

  test('setSession() switches at once', async () => {
    const kit = localKit()
    const first = (await kit.executeCommand('echo one > name')).sandboxId
    const second = localKit()
    const { sandboxId: other } = await second.executeCommand('echo two > name')
    await second.dispose()
    await kit.setSession(other)
    expect(await kit.getSession()).toBe(other)
    expect((await kit.executeCommand('cat name')).stdout).toBe('two\n')
    await kit.setSession(first)
    expect((await kit.executeCommand('cat name')).stdout).toBe('one\n')
    open.push(localKit({}, { sessionId: other }))
  })

  test('pause() freezes, resume() thaws', async () => {
    const kit = localKit()
    const ticks = []
    kit.on('stdout', (text) => ticks.push(text))
    const command = kit.executeCommand('for i in 1 2 3 4 5 6 7 8 9 10; do echo tick; sleep 0.1; done')
    await until(() => ticks.length >= 2)
    await kit.pause()
    await new Promise((resolve) => setTimeout(resolve, 200))
    const paused = ticks.length
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(ticks.length).toBe(paused)
    await kit.resume()
    expect((await command).stdout).toBe('tick\n'.repeat(10))
  })

  test('getHost() leads to a server inside', async () => {
    const kit = localKit()
    const server = "require('http').createServer((q, a) => a.end('from inside ' + q.url)).listen(3000, () => console.log('up'))"
    await kit.executeCommand(`node -e "${server}" > log`, { background: true })
    await until(async () => (await kit.executeCommand('cat log 2>/dev/null')).stdout === 'up\n')
    const host = await kit.getHost(3000)
    expect(host).toMatch(/^localhost:\d+$/)
    expect(await (await fetch(`http://${host}/path`)).text()).toBe('from inside /path')
  })
})

describe('a provider object', () => {
  test('is driven natively by withSandbox()', async () => {
    const provider = createLocalProvider()
    const create = jest.spyOn(provider, 'create')
    const kit = new VibeKit().withAgent({ type: 'claude', apiKey: 'k' }).withSandbox(provider)
    open.push(kit)
    expect((await kit.executeCommand('cat', { stdin: 'in' })).stdout).toBe('in')
    expect(create).not.toHaveBeenCalled()
  })

  test('is driven like any other when it is wrapped', async () => {
    const provider = createLocalProvider()
    const wrapped = { create: (...args) => provider.create(...args), resume: (id) => provider.resume(id) }
    const kit = new VibeKit().withAgent({ type: 'claude', apiKey: 'k' }).withSandbox(wrapped).withSecrets({ A: 'b' })
    open.push(kit)
    expect(await kit.executeCommand('printf "$A"')).toMatchObject({ exitCode: 0, stdout: 'b' })
    expect(await kit.getHost(3000)).toMatch(/^localhost:/)
  })
})

test('wrong configurations are named', async () => {
  const kit = new VibeKit({ agent: AGENT, environment: { local: { network: 'sometimes' } } })
  const error = await reasonOf(kit.executeCommand('true'))
  expect(error.field ?? error.cause?.field).toBe('environment.local.network')
})
