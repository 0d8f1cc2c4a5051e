'use strict'

/** How a process ends that uses this package: by itself, in time, with its own code, and leaving nothing behind. */

const fs = require('node:fs')
const path = require('node:path')
const { command } = require('../support/command')

const root = path.join(__dirname, '../..')
const PRELUDE = `
  const { VibeKit, createLocalProvider } = require('vibekit-native')
  const kitOf = (local = {}) => new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { local } })
`

/** Runs a script of a user of this package. */
const user = (script, options) => command(process.execPath, ['--eval', `${PRELUDE}\n${script}`], { cwd: root, env: process.env, ...options })

/** What is left of sessions in the state directory of this test file. */
function left() {
  const sessions = path.join(process.env.VIBEKIT_HOME, 'sessions')
  return fs.existsSync(sessions) ? fs.readdirSync(sessions).filter((name) => name.startsWith('lcl_')) : []
}

/** Waits until something holds. */
async function until(condition, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (condition()) return true
  }
  return false
}

/** Processes of this machine whose arguments have a text in them. The texts of these tests occur nowhere else. */
function processesWith(text) {
  return fs.readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  })
}

/** A number of seconds that nobody else sleeps. */
let unique = 1_000_000 + (process.pid % 100_000) * 10
const seconds = () => String(++unique)

test.each([
  ['having imported it', ''],
  ['having made an object', 'kitOf(); new VibeKit()'],
  ['having asked for the session', 'kitOf().getSession().then(console.log)'],
  ['a finished command', "kitOf({ ephemeral: true }).executeCommand('true').then(({ exitCode }) => console.log(exitCode))"],
  ['a finished command of a provider', "createLocalProvider({ ephemeral: true }).create().then((sandbox) => sandbox.commands.run('true')).then(({ exitCode }) => console.log(exitCode))"],
])('ends by itself after %s', async (_name, script) => {
  const { code, signal, stderr, seconds: took } = await user(script)
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  expect(took).toBeLessThan(20)
})

test('stays alive while a call runs, and not longer', async () => {
  const { code, stdout } = await user("kitOf({ ephemeral: true }).executeCommand('sleep 0.5; echo done').then(({ stdout }) => process.stdout.write(stdout))")
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'done\n' })
})

test('process.exit() during a call ends at once, with its code', async () => {
  const sleep = seconds()
  const { code, stderr, seconds: took } = await user(`
    const kit = kitOf({ ephemeral: true })
    kit.on('stdout', (text) => { if (text.includes('ready')) process.exit(7) })
    kit.executeCommand('echo ready; sleep ${sleep}')`)
  expect({ code, stderr }).toEqual({ code: 7, stderr: '' })
  expect(took).toBeLessThan(20)
  expect(await until(() => processesWith(sleep).length === 0)).toBe(true)
})

test('an exception nobody catches ends the process, and the ephemeral sandbox with it', async () => {
  const sleep = seconds()
  const { code, stderr } = await user(`
    const kit = kitOf({ ephemeral: true })
    kit.on('stdout', (text) => { if (text.includes('ready')) setTimeout(() => { throw new Error('mine') }) })
    kit.executeCommand('echo ready; sleep ${sleep}')`)
  expect(code).toBe(1)
  expect(stderr).toContain('Error: mine')
  expect(await until(() => processesWith(sleep).length === 0)).toBe(true)
})

test.each(['SIGKILL', 'SIGTERM'])('%s leaves nothing of an ephemeral sandbox', async (signal) => {
  const sleep = seconds()
  const result = await user(
    `const kit = kitOf({ ephemeral: true })
     kit.on('stdout', (text) => { if (text.includes('ready')) process.stdout.write('ready') })
     kit.executeCommand('(setsid sleep ${sleep} &) ; echo ready; sleep ${sleep}')`,
    { onStdout: (_text, child) => child.kill(signal) },
  )
  expect(result.signal).toBe(signal)
  expect(await until(() => processesWith(sleep).length === 0)).toBe(true)
  // Files go when the next process looks after the state directory.
  await user("const kit = kitOf(); kit.executeCommand('sleep 1').then(() => kit.kill())")
  expect(await until(() => left().length === 0)).toBe(true)
})

test('a session that is not ephemeral survives its process, and another one continues it', async () => {
  const first = await user("const kit = kitOf(); kit.executeCommand('echo kept > file').then(({ sandboxId }) => process.stdout.write(sandboxId))")
  expect(first.stdout).toMatch(/^lcl_[a-z2-7]{26}$/)
  const second = await user(`
    const kit = kitOf()
    kit.setSession('${first.stdout}').then(async () => {
      process.stdout.write((await kit.executeCommand('cat file')).stdout)
      await kit.kill()
    })`)
  expect(second).toMatchObject({ code: 0, stdout: 'kept\n' })
  expect(left()).not.toContain(first.stdout)
})

test('a session whose process was killed in the middle is continued by another one', async () => {
  const first = await user(
    `const kit = kitOf()
     kit.executeCommand('echo kept > file').then(({ sandboxId }) => { process.stdout.write(sandboxId); return kit.executeCommand('sleep ${seconds()}') })`,
    { onStdout: (_text, child) => setTimeout(() => child.kill('SIGKILL'), 200) },
  )
  expect(first.signal).toBe('SIGKILL')
  const second = await user(`
    const kit = kitOf()
    kit.setSession('${first.stdout}').then(async () => {
      process.stdout.write((await kit.executeCommand('cat file')).stdout)
      await kit.kill()
    })`)
  expect(second).toMatchObject({ code: 0, stdout: 'kept\n', stderr: '' })
})

test('workers can use it, and be ended in the middle', async () => {
  const { code, stdout, stderr } = await user(`
    const { Worker } = require('node:worker_threads')
    const script = \`${PRELUDE.replaceAll('`', '\\`')}
      const { parentPort } = require('node:worker_threads')
      const kit = kitOf({ ephemeral: true })
      kit.on('stdout', (text) => text.includes('ready') && parentPort.postMessage('ready'))
      kit.executeCommand('echo ready; sleep ${seconds()}')\`
    const one = () => new Promise((resolve, reject) => {
      const worker = new Worker(script, { eval: true })
      worker.on('error', reject)
      worker.on('message', () => worker.terminate().then(resolve))
    })
    ;(async () => {
      for (let i = 0; i < 5; i++) await Promise.all([one(), one()])
      const kit = kitOf({ ephemeral: true })
      process.stdout.write((await kit.executeCommand('echo main')).stdout)
      await kit.kill()
    })()`)
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'main\n', stderr: '' })
}, 90_000)
