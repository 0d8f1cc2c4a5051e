'use strict'

/** Programs are started without a shell, end within their limit, and say within bounds why they failed. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { run } = require('../../lib/services/run')
const { install, calls, leftovers } = require('./support/fakes')

const PATH = process.env.PATH
/** @type {string} */
let dir

/** Nothing else is on PATH: no real program is ever called. @param {import('./support/fakes').Rule[]} rules */
const fake = (...rules) => void (process.env.PATH = install(dir, rules))

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'run-'))
  process.env.PATH = dir
})

afterEach(() => {
  process.env.PATH = PATH
  const { hanging, children } = leftovers(dir)
  for (const pid of [...hanging, ...children]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended already, as it should.
    }
  }
  fs.rmSync(dir, { recursive: true, force: true })
})

/** @param {Promise<unknown>} promise @returns {Promise<any>} */
const failure = (promise) => promise.then((value) => Promise.reject(new Error(`it worked: ${JSON.stringify(value)}`)), (error) => error)

/** @param {() => Promise<unknown>} work */
async function took(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** @param {number} pid */
const isAlive = (pid) => {
  try {
    return !/^\d+ \(.*\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

const LIMIT = { timeoutMs: 20_000 }

test('arguments arrive as they are', async () => {
  fake()
  const args = ['a b', '', '$(touch x)', '`x`', ';', '*', '"', "'", 'é\n', '--', '-x']
  await run('docker', args, LIMIT)
  expect(calls(dir)).toEqual([{ argv: ['docker', ...args] }])
})

test('output is given back', async () => {
  fake({ on: 'docker*', out: 'öut\n', err: 'err\n' })
  await expect(run('docker', [], LIMIT)).resolves.toEqual({ stdout: 'öut\n', stderr: 'err\n' })
})

test('a failure is an error of this realm, with everything known', async () => {
  fake({ on: 'docker*', out: 'o', err: 'e\n', exit: 7 })
  const error = await failure(run('docker', ['x', 'y z'], LIMIT))
  expect(error).toBeInstanceOf(Error)
  expect(error.message).toBe('Command failed: docker x y z\ne\n')
  expect({ ...error }).toEqual({ code: 7, killed: false, signal: null, cmd: 'docker x y z', stdout: 'o', stderr: 'e\n' })
})

test('a program that is not there has a remedy', async () => {
  process.env.PATH = dir
  const error = await failure(run('docker', ['x'], LIMIT))
  expect(error.message).toBe('Command failed: docker x\ndocker: not found. Install it, or add its folder to PATH.')
  expect(error.code).toBe(127)
})

test('a program that may not be run says so', async () => {
  fs.chmodSync(path.join(install(dir, []), 'docker'), 0o644)
  process.env.PATH = path.join(dir, 'bin')
  const error = await failure(run('docker', [], LIMIT))
  expect(error.message).toMatch(/EACCES/)
})

test('a zero byte cannot be passed', async () => {
  fake()
  await expect(run('docker', ['a\0b'], LIMIT)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})

test('a question is not answered, and nobody waits', async () => {
  fake({ on: 'docker*', prompt: true, exit: 1 })
  expect(await took(() => failure(run('docker', ['login'], LIMIT)))).toBeLessThan(10_000)
})

test('a secret goes by stdin, and is in no error', async () => {
  fake({ on: 'docker*', out: 'your token: t0ps3cret', err: 'bad token t0ps3cret\n', exit: 1 })
  const error = await failure(run('docker', ['login', '--password-stdin'], { ...LIMIT, secret: 't0ps3cret' }))
  expect(calls(dir)).toEqual([{ argv: ['docker', 'login', '--password-stdin'], stdin: 't0ps3cret' }])
  expect(error.message).toBe('Command failed: docker login --password-stdin\nbad token ***\n')
  expect(JSON.stringify({ ...error })).not.toContain('t0ps3cret')
})

test('a program that does not read its secret is no trouble', async () => {
  fake()
  await expect(run('docker', ['x'], { ...LIMIT, secret: 'x'.repeat(1024 * 1024) })).resolves.toEqual({ stdout: '', stderr: '' })
})

test('a program that takes too long is ended', async () => {
  fake({ on: 'docker*', err: 'still here\n', hang: 'alone' })
  const error = await failure(run('docker', ['x'], { timeoutMs: 300 }))
  expect(error.message).toBe('Command failed: docker x\nstill here\ntimed out after 0.3 s')
  expect(error).toMatchObject({ code: null, killed: true, signal: 'SIGTERM' })
  expect(leftovers(dir).hanging.filter(isAlive)).toEqual([])
})

test('so is one that does not want to', async () => {
  fake({ on: 'docker*', hang: 'stubborn' })
  const error = await failure(run('docker', [], { timeoutMs: 500 }))
  expect(error).toMatchObject({ code: null, killed: true, signal: 'SIGKILL' })
  expect(leftovers(dir).hanging.filter(isAlive)).toEqual([])
})

test('what it leaves behind holds nobody up after its limit', async () => {
  fake({ on: 'docker*', hang: 'child' })
  expect(await took(() => failure(run('docker', [], { timeoutMs: 500 })))).toBeLessThan(15_000)
})

test('what it leaves behind holds nobody up after its end', async () => {
  fake({ on: 'docker*', out: 'done', orphan: true })
  const time = await took(() => expect(run('docker', ['x'], { timeoutMs: 40_000 })).resolves.toEqual({ stdout: 'done', stderr: '' }))
  expect(time).toBeLessThan(15_000)
})

test('the end of long output is kept', async () => {
  fake({ on: 'docker*', flood: 3 * 1024 * 1024, out: 'the end' })
  const { stdout } = await run('docker', [], LIMIT)
  expect(stdout).toHaveLength(1024 * 1024)
  expect(stdout.endsWith('xxx' + 'the end')).toBe(true)
})

test('a result is whole or a failure', async () => {
  fake({ on: 'docker small', flood: 3 * 1024 * 1024 }, { on: 'docker large', flood: 17 * 1024 * 1024, hang: 'alone' })
  expect((await run('docker', ['small'], { ...LIMIT, whole: true })).stdout).toHaveLength(3 * 1024 * 1024)
  const error = await failure(run('docker', ['large'], { ...LIMIT, whole: true }))
  expect(error.message).toBe('Command failed: docker large\nprinted more than 16 MiB')
  expect(error.killed).toBe(true)
})

test('nothing keeps the process alive afterwards', async () => {
  fake({ on: 'docker*', orphan: true })
  const module = JSON.stringify(require.resolve('../../lib/services/run'))
  const script = `require(${module}).run('docker', ['x'], { timeoutMs: 600_000 }).then(() => console.log('done'))`
  const { stdout } = await run(process.execPath, ['-e', script], { timeoutMs: 20_000 })
  expect(stdout).toBe('done\n')
})

test('only here are programs started', () => {
  const root = path.join(__dirname, '../..')
  const sources = ['lib/services', 'lib/registry'].flatMap((folder) => fs.readdirSync(path.join(root, folder)).map((file) => path.join(folder, file)))
  const starting = sources.filter((file) => /child_process|\bshell:/.test(fs.readFileSync(path.join(root, file), 'utf8').replaceAll(/\/\*[^]*?\*\//g, '')))
  expect(starting).toEqual(['lib/services/run.js'])
})
