'use strict'

/** What a sandbox at E2B does, whoever's client asks for it. Run with the official clients it is the double that is tested. */

const crypto = require('node:crypto')
const { startDouble } = require('../support/double')
const { reasonOf, until } = require('../../local/support')

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex')

/** A promise with the function that resolves it. */
function signal() {
  let resolve
  const promise = new Promise((done) => (resolve = done))
  return { promise, resolve }
}

/**
 * @param {string} name
 * @param {(double: any) => any} makeClient one of `clients.js`
 * @param {(double: any) => void | (() => void)} [around] runs before it is made; what it returns, after all
 */
function suite(name, makeClient, around) {
  describe(name, () => {
    let double, client, after

    beforeAll(async () => {
      double = await startDouble('e2b')
      after = around?.(double)
      client = makeClient(double)
    }, 600_000)

    afterAll(() => after?.())

    afterEach(async () => {
      await double.tell('clear')
      for (const id of await double.leftovers()) await double.tell('vanish', id)
    })

    /** What the double knows of a sandbox. Older clients put their own id behind its. */
    const known = async ({ id }) => (await double.tell('sandboxes')).find((one) => one.id === id.split('-')[0])

    /** How an error is called, whoever's it is. */
    const why = async (promise) => client.reasonOf(await reasonOf(promise))

    const { has } = makeClient({ url: 'http://127.0.0.1:1' })

    /** A test of what only some clients can do. */
    const able = (what) => (has[what] ? test : test.skip)

    test('makes a sandbox, runs in it, and ends it', async () => {
      const sandbox = await client.create({ GREETING: `it's "me" $HOME` })
      const { exitCode, stdout, stderr } = await sandbox.run('echo "$GREETING"; echo oops >&2')
      expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: `it's "me" $HOME\n`, stderr: 'oops\n' })
      expect(await known(sandbox)).toMatchObject({ template: 'vibekit-codex', paused: false })
      expect((await known(sandbox)).secondsLeft).toBeGreaterThan(3500)
      await sandbox.kill()
      expect(await double.leftovers()).toEqual([])
    })

    test('rejects for a code that is not 0, with all that was written', async () => {
      const sandbox = await client.create()
      const error = await reasonOf(sandbox.run('echo out; echo err >&2; exit 3'))
      expect(error).toMatchObject({ name: 'CommandExitError', message: 'exit status 3', exitCode: 3, stdout: 'out\n', stderr: 'err\n' })
      expect(await reasonOf(sandbox.run('kill -KILL $$'))).toMatchObject({ message: 'signal: killed', error: 'signal: killed' })
      expect(await reasonOf(sandbox.run('kill -TERM $$'))).toMatchObject({ message: 'signal: terminated' })
      await sandbox.kill()
    })

    test('hands output on as it is written', async () => {
      const sandbox = await client.create()
      const first = signal()
      const [out, err] = [[], []]
      const run = sandbox.run('echo first; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo second >&2; printf end', {
        onStdout: (text) => {
          out.push(text)
          first.resolve()
        },
        onStderr: (text) => err.push(text),
      })
      await first.promise
      expect([out.join(''), err.join('')]).toEqual(['first\n', ''])
      await sandbox.run(': >/tmp/go')
      expect(await run).toMatchObject({ exitCode: 0, stdout: 'first\nend', stderr: 'second\n' })
      expect([out.join(''), err.join('')]).toEqual(['first\nend', 'second\n'])
      await sandbox.kill()
    })

    test('loses and repeats nothing of much output', async () => {
      const sandbox = await client.create()
      let seen = 0
      const { stdout } = await sandbox.run('seq 1 400000', { onStdout: (text) => (seen += text.length) })
      const expected = Array.from({ length: 400_000 }, (_, index) => `${index + 1}\n`).join('')
      expect([stdout.length, seen, sha256(stdout)]).toEqual([expected.length, expected.length, sha256(expected)])
      await sandbox.kill()
    })

    test('takes variables and a directory for one command', async () => {
      const sandbox = await client.create({ A: 'sandbox', B: 'sandbox' })
      const { stdout } = await sandbox.run('echo "$A $B $PWD"', { env: { B: 'command' }, cwd: '/tmp' })
      expect(stdout).toBe('sandbox command /tmp\n')
      expect(await why(sandbox.run('true', { cwd: '/not/there' }))).toBe('cwd')
      await sandbox.kill()
    })

    test('keeps a command to its time', async () => {
      const sandbox = await client.create()
      const started = signal()
      const run = why(sandbox.run('echo on; sleep 600 & sleep 600; true', { timeoutMs: 1000, onStdout: started.resolve }))
      await started.promise
      expect(await run).toBe('timeout')
      // The daemon ends the main process alone.
      const left = has.tree ? 0 : 2
      await until(async () => (await known(sandbox)).processes.length === left)
      await sandbox.kill()
      expect(await double.leftovers()).toEqual([])
    })

    test('pauses with all that runs, and goes on where it was', async () => {
      const sandbox = await client.create()
      await sandbox.run('nohup sh -c "while sleep 0.05; do echo >>/tmp/beats; done" >/dev/null 2>&1 & echo kept >/tmp/file')
      await sandbox.pause()
      expect((await known(sandbox)).paused).toBe(true)
      const again = await client.connect(sandbox.id)
      expect((await known(sandbox)).paused).toBe(false)
      expect((await again.run('cat /tmp/file')).stdout).toBe('kept\n')
      await again.run('n=$(wc -l </tmp/beats); while [ $(wc -l </tmp/beats) = $n ]; do sleep 0.02; done')
      await again.kill()
      expect(await double.leftovers()).toEqual([])
    })

    test('attaches to a sandbox that runs', async () => {
      const sandbox = await client.create({ KEPT: 'yes' })
      const again = await client.connect(sandbox.id)
      expect(again.id.split('-')[0]).toBe(sandbox.id.split('-')[0])
      expect((await again.run('echo $KEPT')).stdout).toBe('yes\n')
      await again.kill()
    })

    test('names the way to a port', async () => {
      const sandbox = await client.create()
      expect(await sandbox.host(3000)).toBe(`3000-${sandbox.id}.${has.domain}`)
      await sandbox.kill()
    })

    describe('is told what is wrong', () => {
      test('with a key', async () => {
        expect(await why(client.create({}, { apiKey: 'a-wrong-key' }))).toBe('key')
        expect(await double.leftovers()).toEqual([])
      })

      test('with a template', async () => {
        expect(await why(client.template('missing-template'))).toBe('template')
      })

      test('with an id', async () => {
        expect(await why(client.connect('i0000000000000000dead'))).toBe('missing')
      })

      test('when the sandbox is gone before a command', async () => {
        const sandbox = await client.create()
        await double.tell('vanish', sandbox.id.split('-')[0])
        expect(await why(sandbox.run('true'))).toBe('gone')
      })

      test('when too many are asked for', async () => {
        const body = JSON.stringify({ code: 429, message: 'you have reached the maximum number of concurrent E2B sandboxes (20)' })
        await double.tell('answer', { method: 'POST', path: '/sandboxes', status: 429, headers: { 'content-type': 'application/json' }, body })
        const reason = await why(client.create())
        // The version inside the published provider knows no such thing.
        expect(has.retries ? reason : 'rate').toBe('rate')
      })
    })

    able('retries')('when the service has no room', async () => {
      const body = JSON.stringify({ code: 503, message: 'Failed to place sandbox: no node' })
      await double.tell('answer', { method: 'POST', path: '/sandboxes', times: 9, status: 503, headers: { 'content-type': 'application/json' }, body })
      expect(await why(client.create())).toBe('busy')
    })

    able('retries')('waits as long as the service asks it to', async () => {
      const body = JSON.stringify({ code: 429, message: 'Rate limit exceeded' })
      const headers = { 'content-type': 'application/json', 'retry-after': '1' }
      await double.tell('answer', { method: 'POST', path: '/sandboxes', status: 429, headers, body })
      const start = performance.now()
      const sandbox = await client.create()
      expect(performance.now() - start).toBeGreaterThan(900)
      await sandbox.kill()
    })

    able('text')('cuts no character, wherever the service cuts', async () => {
      const sandbox = await client.create()
      const text = 'é日🎉'.repeat(50)
      const pieces = []
      const { stdout } = await sandbox.run(`printf %s '${text}'`, { env: { E2B_DOUBLE_FRAME: '3' }, onStdout: (piece) => pieces.push(piece) })
      expect(stdout).toBe(text)
      expect(pieces.join('')).toBe(text)
      await sandbox.kill()
    })

    able('user')('runs as a user, and refuses one that is not there', async () => {
      const sandbox = await client.create()
      expect((await sandbox.as('root')).stdout).toBe('ran\n')
      expect(await why(sandbox.as('nobody-of-that-name'))).toBe('user')
      await sandbox.kill()
    })

    able('input')('passes standard input on, byte for byte', async () => {
      const sandbox = await client.create()
      const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256))
      const { stdout } = await sandbox.input('sha256sum', bytes)
      expect(stdout).toBe(`${sha256(bytes)}  -\n`)
      await sandbox.kill()
    })

    able('background')('starts in the background, and ends it with the sandbox', async () => {
      const sandbox = await client.create()
      await sandbox.background('sleep 600')
      await until(async () => (await known(sandbox)).processes.length > 0)
      await sandbox.kill()
      expect(await double.leftovers()).toEqual([])
    })

    able('files')('moves files byte for byte', async () => {
      const sandbox = await client.create()
      const bytes = crypto.randomBytes(300_000)
      await sandbox.write('/tmp/deep/er/file with space é', bytes)
      expect(Buffer.compare(await sandbox.read('/tmp/deep/er/file with space é'), bytes)).toBe(0)
      await sandbox.write('/tmp/deep/empty', Buffer.alloc(0))
      expect(await sandbox.read('/tmp/deep/empty')).toHaveLength(0)
      const list = await sandbox.list('/tmp/deep')
      expect(list.sort((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
        { name: 'empty', kind: 'file', size: 0 },
        { name: 'er', kind: 'directory' },
      ])
      expect(await why(sandbox.read('/tmp/not-there'))).toBe('missing')
      await sandbox.kill()
    })
  })
}

module.exports = { suite, signal }
