'use strict'

/**
 * `node scripts/live.js daytona|northflank|e2b`: a short life of a sandbox at the real service, with the key of the environment.
 * Costs a little. Without a key it says so, and that nothing was shown. E2B's sandbox is of its template `base`, or of the one
 * `E2B_TEMPLATE` names.
 */

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { ensureAddon } = require('./ensure')

/** @type {Record<string, { needs: string[], provider: string, options: object, pauses?: boolean }>} */
const services = {
  daytona: { needs: ['DAYTONA_API_KEY'], provider: 'createDaytonaProvider', options: { image: 'ubuntu:22.04', autoStopInterval: 5 } },
  northflank: { needs: ['NORTHFLANK_API_KEY', 'NORTHFLANK_PROJECT_ID'], provider: 'createNorthflankProvider', options: { image: 'ubuntu:22.04' } },
  e2b: { needs: ['E2B_API_KEY'], provider: 'createE2BProvider', options: { templateId: process.env.E2B_TEMPLATE || 'base', timeoutMs: 600_000 }, pauses: true },
}

/** A command's result, also where a code other than 0 or the end of its time rejects. @param {any} sandbox @param {string} command @param {object} [options] */
const run = (sandbox, command, options) =>
  sandbox.commands.run(command, options).catch((/** @type {any} */ error) => {
    if (error.exitCode === undefined) throw error
    return error
  })

/** The code of the error a promise rejects with. @param {Promise<unknown>} promise */
const codeOf = (promise) => promise.then(() => 'none', (error) => error.code)

/** @param {string | Uint8Array} text */
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')

/** @type {Array<[string, (sandbox: any, provider: any, service: { pauses?: boolean }) => Promise<void>]>} */
const steps = [
  ['the exit code is true', async (sandbox) => {
    const { exitCode, stdout, stderr } = await run(sandbox, 'echo out; echo err >&2; exit 3')
    assert.deepEqual([exitCode, stdout, stderr], [3, 'out\n', 'err\n'])
  }],
  ['environment arrives', async (sandbox) => {
    assert.equal((await run(sandbox, 'echo "$GREETING $MORE"', { env: { MORE: '$x `y`' } })).stdout, 'it\'s "me" $x `y`\n')
  }],
  ['a command runs where it shall', async (sandbox) => {
    assert.equal((await run(sandbox, 'pwd', { cwd: '/tmp' })).stdout, '/tmp\n')
    assert.equal((await run(sandbox, 'pwd')).stdout, '/vibe0\n')
  }],
  ['output is live', async (sandbox) => {
    const times = /** @type {number[]} */ ([])
    await run(sandbox, 'echo one; sleep 3; echo two', { onStdout: () => times.push(Date.now()) })
    assert.ok(/** @type {number} */ (times.at(-1)) - times[0] > 2000, `pieces came at ${times}`)
  }],
  ['much output arrives whole', async (sandbox) => {
    const { stdout } = await run(sandbox, 'seq 1 300000', { maxOutputBytes: 16 << 20 })
    assert.equal(sha256(stdout), sha256(Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join('')))
  }],
  ['input arrives byte for byte', async (sandbox) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    assert.equal((await run(sandbox, 'sha256sum', { stdin: bytes })).stdout.split(' ')[0], sha256(bytes))
  }],
  ['a time limit ends the tree', async (sandbox) => {
    const [line, left] = sleepers()
    const { timedOut } = await run(sandbox, line, { timeoutMs: 3000 })
    assert.equal(timedOut, true)
    assert.equal((await run(sandbox, left)).stdout, '')
  }],
  ['cancelling ends the tree', async (sandbox) => {
    const [line, left] = sleepers()
    const stop = new AbortController()
    const first = () => stop.abort(new Error('enough'))
    await assert.rejects(run(sandbox, `echo on; ${line}`, { signal: stop.signal, onStdout: first }), /enough/)
    assert.equal((await run(sandbox, left)).stdout, '')
  }],
  ['files are written and read', async (sandbox) => {
    await sandbox.files.write('deep/file', 'content ✓')
    assert.equal(await sandbox.files.read('deep/file', 'utf8'), 'content ✓')
    const bytes = crypto.randomBytes(1 << 20)
    await sandbox.files.write('/tmp/bytes', bytes)
    assert.equal(sha256(await sandbox.files.read('/tmp/bytes')), sha256(bytes))
    assert.deepEqual((await sandbox.files.list('deep')).map((/** @type {any} */ entry) => entry.name), ['file'])
    assert.equal(await codeOf(sandbox.files.read('not-there')), 'FILE_ERROR')
  }],
  ['a port has a name', async (sandbox) => {
    assert.ok((await sandbox.getHost(3000)).length > 0)
  }],
  ['it is found by its id', async (sandbox, provider) => {
    const again = await provider.resume(sandbox.sandboxId)
    assert.equal((await run(again, 'cat deep/file')).stdout, 'content ✓')
    await again.release()
  }],
  ['it pauses and goes on with what ran', async (sandbox, provider, { pauses }) => {
    if (!pauses) return
    await run(sandbox, '(while sleep 0.2; do echo >>/tmp/beats; done) >/dev/null 2>&1 &')
    await sandbox.pause()
    const again = await provider.resume(sandbox.sandboxId)
    await run(again, 'n=$(wc -l </tmp/beats); while [ $(wc -l </tmp/beats) = $n ]; do sleep 0.1; done', { timeoutMs: 30_000 })
    assert.equal((await run(again, 'cat deep/file')).stdout, 'content ✓')
    await again.release()
  }],
  ['an id that is not there is told', async (sandbox, provider) => {
    const other = sandbox.sandboxId.replace(/[0-9a-z](?=[^0-9a-z]*$)/, (/** @type {string} */ last) => (last === '0' ? '1' : '0'))
    assert.equal(await codeOf(provider.resume(other)), 'SESSION_NOT_FOUND')
  }],
]

/** A command that leaves processes behind unless its whole tree is ended, and one that prints those there are. @returns {[string, string]} */
function sleepers() {
  const mark = crypto.randomInt(1e9)
  return [`sleep 300.${mark} & sleep 300.${mark}`, `grep -l '[3]00.${mark}' /proc/[0-9]*/cmdline 2>/dev/null; true`]
}

async function main() {
  const name = process.argv[2]
  const service = services[name]
  if (!service) throw new Error(`Usage: node scripts/live.js ${Object.keys(services).join('|')}`)
  const missing = service.needs.filter((variable) => !process.env[variable])
  if (missing.length > 0) {
    process.stdout.write(`NOT RUN: ${missing.join(' and ')} not set. Nothing was shown about the real ${name}.\n`)
    return
  }
  await ensureAddon()
  const make = /** @type {Record<string, any>} */ (require('../index'))[service.provider]
  const provider = make(service.options)
  const sandbox = await provider.create({ GREETING: 'it\'s "me"' }, undefined, '/vibe0')
  let failed = 0
  try {
    for (const [what, step] of steps) {
      try {
        await step(sandbox, provider, service)
        process.stdout.write(`ok      ${what}\n`)
      } catch (error) {
        failed++
        process.stdout.write(`FAILED  ${what}: ${/** @type {Error} */ (error).message}\n`)
      }
    }
  } finally {
    await sandbox.kill()
  }
  process.stdout.write(`${steps.length - failed} passed, ${failed} failed\n`)
  if (failed > 0) process.exitCode = 1
}

main()
