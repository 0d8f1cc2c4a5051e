'use strict'

/** The embedded sandbox on its own: `createLocalProvider()`. */

const { createLocalProvider } = require('vibekit-native')
const { localSandbox, reasonOf, until, open } = require('./support')

describe('commands.run()', () => {
  test('gives code and streams', async () => {
    const { commands } = await localSandbox()
    expect(await commands.run('echo out; echo err >&2; exit 3')).toMatchObject({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' })
  })

  test('takes a program and its arguments without a shell', async () => {
    const { commands } = await localSandbox()
    expect((await commands.run(['printf', '%s|', '$HOME', "it's", ''])).stdout).toBe("$HOME|it's||")
    expect(await reasonOf(commands.run(['no-such-program']))).toMatchObject({ code: 'SPAWN_FAILED' })
  })

  test('streams to its callbacks, each to its own', async () => {
    const { commands } = await localSandbox()
    const [out, err] = [[], []]
    const { stdout, stderr } = await commands.run('for i in 1 2 3; do echo o$i; echo e$i >&2; done', {
      onStdout: (text) => out.push(text),
      onStderr: (text) => err.push(text),
    })
    expect([out.join(''), err.join('')]).toEqual([stdout, stderr])
  })

  test('takes bytes and text for standard input', async () => {
    const { commands } = await localSandbox()
    expect((await commands.run('cat', { stdin: 'text ✓' })).stdout).toBe('text ✓')
    expect((await commands.run('wc -c', { stdin: new Uint8Array([0, 255, 10]) })).stdout.trim()).toBe('3')
    expect((await commands.run('wc -c', { stdin: '' })).stdout.trim()).toBe('0')
    expect((await commands.run('wc -c')).stdout.trim()).toBe('0')
  })

  test('runs a command that may only read', async () => {
    const { commands } = await localSandbox()
    const { exitCode } = await commands.run(['touch', 'file'], { readOnly: true })
    expect(exitCode).not.toBe(0)
    expect((await commands.run('touch file; ls')).stdout).toBe('file\n')
  })

  test('keeps as many bytes as it is told, and counts the others', async () => {
    const { commands } = await localSandbox()
    const seen = []
    const result = await commands.run('printf 0123456789', { maxOutputBytes: 4, onStdout: (text) => seen.push(text) })
    expect(result).toMatchObject({ stdout: '0123', stdoutDropped: 6 })
    expect(seen.join('')).toBe('0123456789')
  })

  test('has its environment and directory for itself', async () => {
    const sandbox = await localSandbox()
    const { stdout } = await sandbox.commands.run('pwd; echo $A', { cwd: '/tmp', env: { A: 'b' } })
    expect(stdout).toBe('/tmp\nb\n')
    expect((await sandbox.commands.run('pwd; echo $A')).stdout).toBe('/vibe0\n\n')
  })

  test('ends a tree whose time is over, and says so', async () => {
    const { commands } = await localSandbox()
    const result = await commands.run('sleep 300 & sleep 300', { timeoutMs: 200 })
    expect(result).toMatchObject({ timedOut: true, stopped: { processes: expect.any(Number) } })
    expect((await commands.run('pgrep sleep || echo none')).stdout).toBe('none\n')
  })

  test('ends a tree nobody wants any more', async () => {
    const { commands } = await localSandbox()
    const controller = new AbortController()
    const run = reasonOf(commands.run('sleep 300 & sleep 300', { signal: controller.signal }))
    setTimeout(() => controller.abort(), 100)
    expect(await run).toBe(controller.signal.reason)
    expect((await commands.run('pgrep sleep || echo none')).stdout).toBe('none\n')
  })
})

describe('files', () => {
  test('are written, read, listed and removed', async () => {
    const { files, commands } = await localSandbox()
    await files.write('deep/er/a.txt', 'text ✓')
    await files.write('/vibe0/b.bin', new Uint8Array([0, 1, 255]))
    expect(await files.read('deep/er/a.txt', 'utf8')).toBe('text ✓')
    expect([...(await files.read('b.bin'))]).toEqual([0, 1, 255])
    expect((await commands.run('cat deep/er/a.txt')).stdout).toBe('text ✓')
    expect(await files.list()).toEqual([
      { name: 'b.bin', kind: 'file', size: 3 },
      { name: 'deep', kind: 'directory', size: 0 },
    ])
    await files.remove('deep')
    await files.remove('never there')
    expect((await files.list()).map(({ name }) => name)).toEqual(['b.bin'])
  })

  test('that are large come whole', async () => {
    const { files, commands } = await localSandbox()
    const content = Buffer.alloc(20 << 20, 'abcdefg')
    await files.write('large', content)
    expect((await files.read('large')).equals(content)).toBe(true)
    expect((await commands.run('wc -c < large')).stdout.trim()).toBe(String(content.length))
  })

  test('that cannot be had are said so', async () => {
    const { files, commands } = await localSandbox()
    expect(await reasonOf(files.read('missing'))).toMatchObject({ code: 'FILE_ERROR' })
    expect(await reasonOf(files.list('missing'))).toMatchObject({ code: 'FILE_ERROR' })
    await commands.run('ln -s /etc/passwd link; ln -s / root')
    expect(await reasonOf(files.read('link'))).toMatchObject({ code: 'FILE_ERROR' })
    expect(await reasonOf(files.write('root/etc/x', 'x'))).toMatchObject({ code: 'FILE_ERROR' })
  })
})

describe('a sandbox', () => {
  test('is found again by its id, with its files', async () => {
    const provider = createLocalProvider()
    const first = await provider.create({ A: '1' }, 'claude', '/vibe0')
    open.push(first)
    expect(first.sandboxId).toMatch(/^lcl_[a-z2-7]{26}$/)
    expect(first.processesLost).toBe(false)
    await first.files.write('kept', 'yes')
    await first.release()
    const second = await provider.resume(first.sandboxId)
    open.push(second)
    expect(second.sandboxId).toBe(first.sandboxId)
    expect(await second.files.read('kept', 'utf8')).toBe('yes')
  })

  test('is gone after kill(), for everybody, as often as one likes', async () => {
    const provider = createLocalProvider()
    const sandbox = await provider.create()
    await sandbox.kill()
    await sandbox.kill()
    expect(await reasonOf(provider.resume(sandbox.sandboxId))).toMatchObject({ code: 'SESSION_NOT_FOUND' })
    expect(await reasonOf(sandbox.commands.run('true'))).toBeInstanceOf(Error)
  })

  test('is paused and resumed', async () => {
    const sandbox = await localSandbox()
    const ticks = []
    const run = sandbox.commands.run('for i in 1 2 3 4 5; do echo t; sleep 0.1; done', { onStdout: (text) => ticks.push(text) })
    await until(() => ticks.length > 0)
    await sandbox.pause()
    await sandbox.resume()
    expect((await run).stdout).toBe('t\n'.repeat(5))
  })

  test('shows nothing of its insides', async () => {
    const sandbox = await localSandbox()
    expect(Object.keys(sandbox)).toEqual(['sandboxId', 'processesLost', 'commands', 'files'])
    expect(JSON.parse(JSON.stringify(createLocalProvider()))).toEqual({})
  })
})
