'use strict'

/**
 * `node scripts/live.js daytona|northflank`: a short life of a sandbox at the real service, with the key of the environment.
 * Costs a little. Without a key it says so, and that nothing was shown.
 */

const assert = require('node:assert/strict')
const { ensureAddon } = require('./ensure')

/** @type {Record<string, { needs: string[], provider: string, options: object }>} */
const services = {
  daytona: { needs: ['DAYTONA_API_KEY'], provider: 'createDaytonaProvider', options: { image: 'ubuntu:22.04', autoStopInterval: 5 } },
  northflank: { needs: ['NORTHFLANK_API_KEY', 'NORTHFLANK_PROJECT_ID'], provider: 'createNorthflankProvider', options: { image: 'ubuntu:22.04' } },
}

/** @type {Array<[string, (sandbox: any, provider: any) => Promise<void>]>} */
const steps = [
  ['the exit code is true', async (sandbox) => {
    const { exitCode, stdout, stderr } = await sandbox.commands.run('echo out; echo err >&2; exit 3')
    assert.deepEqual([exitCode, stdout, stderr], [3, 'out\n', 'err\n'])
  }],
  ['environment arrives', async (sandbox) => {
    assert.equal((await sandbox.commands.run('echo "$GREETING"')).stdout, 'it\'s "me"\n')
  }],
  ['output is live', async (sandbox) => {
    const times = /** @type {number[]} */ ([])
    await sandbox.commands.run('echo one; sleep 3; echo two', { onStdout: () => times.push(Date.now()) })
    assert.ok(/** @type {number} */ (times.at(-1)) - times[0] > 2000, `pieces came at ${times}`)
  }],
  ['input arrives byte for byte', async (sandbox) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    assert.equal((await sandbox.commands.run('wc -c', { stdin: bytes.toString('latin1') })).stdout.trim(), String(Buffer.byteLength(bytes.toString('latin1'))))
  }],
  ['a time limit ends the tree', async (sandbox) => {
    const { timedOut } = await sandbox.commands.run('sleep 300 & sleep 300', { timeoutMs: 3000 })
    assert.equal(timedOut, true)
    assert.equal((await sandbox.commands.run('ps -e -o comm= 2>/dev/null | grep -c sleep')).stdout.trim() || '0', '0')
  }],
  ['files are written and read', async (sandbox) => {
    await sandbox.files.write('deep/file', 'content ✓')
    assert.equal(await sandbox.files.read('deep/file', 'utf8'), 'content ✓')
  }],
  ['a port has a name', async (sandbox) => {
    assert.ok((await sandbox.getHost(3000)).length > 0)
  }],
  ['it is found by its id', async (sandbox, provider) => {
    const again = await provider.resume(sandbox.sandboxId)
    assert.equal((await again.commands.run('cat deep/file')).stdout, 'content ✓')
    await again.release()
  }],
]

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
  const sandbox = await provider.create({ GREETING: 'it\'s "me"' })
  let failed = 0
  try {
    for (const [what, step] of steps) {
      try {
        await step(sandbox, provider)
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
