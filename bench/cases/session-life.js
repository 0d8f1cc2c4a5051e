'use strict'

const assert = require('node:assert')
const { spawn, spawnSync } = require('node:child_process')
const { defineCase } = require('../lib/case')
const { median, timed } = require('../lib/stats')

/** A program and nothing around it, with pipes for its output. */
const spawned = () =>
  new Promise((resolve, reject) => {
    spawn('true', { stdio: ['ignore', 'pipe', 'pipe'] })
      .on('error', reject)
      .on('close', resolve)
      .stdout?.resume()
  })

/** Milliseconds of a bare posix_spawn of `true`, which JavaScript does not have; undefined without Python. @param {number} times */
function posixSpawn(times) {
  const script = `
import os, time
def once():
    start = time.perf_counter()
    os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)
    return time.perf_counter() - start
print(sorted(once() for _ in range(${times}))[${times} // 2] * 1000)`
  const { status, stdout } = spawnSync('python3', ['-c', script], { encoding: 'utf8' })
  return status === 0 ? Number(stdout) : undefined
}

/** Median of something done to many sandboxes, one after the other. @param {any[]} sandboxes @param {(sandbox: any) => Promise<unknown>} work */
const each = async (sandboxes, work) => {
  const rest = [...sandboxes]
  return median(await timed(sandboxes.length, () => work(rest.pop())))
}

module.exports = defineCase({
  title: 'A session: made, used, ended (ours: sandbox; plain: child_process.spawn without a shell)',
  subjects: ['ours', 'plain'],
  figures: [
    { label: 'create', of: 'createMs', unit: 'ms', atMost: 5 },
    { label: 'run `true` in it', of: 'runMs', unit: 'ms', over: 'plain', plus: 0.5 },
    { label: 'the same against a bare posix_spawn', of: 'bareMs', unit: 'ms', over: 'plain', plus: 0.5 },
    { label: 'destroy, idle', of: 'destroyMs', unit: 'ms', atMost: 5 },
    { label: 'create and destroy, one after the other', of: 'perS', unit: '/s', more: true, atLeast: 150 },
    { label: 'create and destroy, 4 at once', of: 'fourPerS', unit: '/s', more: true },
  ],
  async measure(subject, { quick }) {
    const times = quick ? 20 : 50
    if (subject.name === 'plain') {
      await timed(5, spawned)
      return { runMs: median(await timed(times * 2, spawned)), bareMs: posixSpawn(times * 2) }
    }
    const provider = await subject.provider()
    const cycle = async () => (await provider.create()).kill()
    await timed(3, cycle)
    /** @type {any[]} */
    const sandboxes = []
    const createMs = median(await timed(times, async () => sandboxes.push(await provider.create())))
    const [used] = sandboxes
    await timed(5, () => used.commands.run(['true']))
    const runMs = median(await timed(times * 2, () => used.commands.run(['true'])))
    const destroyMs = await each(sandboxes, (sandbox) => sandbox.kill())
    const start = performance.now()
    await timed(times, cycle)
    const perS = (times * 1000) / (performance.now() - start)
    const again = performance.now()
    await Promise.all([1, 2, 3, 4].map(() => timed(times, cycle)))
    return { createMs, runMs, bareMs: runMs, destroyMs, perS, fourPerS: (4 * times * 1000) / (performance.now() - again) }
  },
  async check(subject) {
    if (subject.name === 'plain') return
    const sandbox = await (await subject.provider()).create()
    const { exitCode, stdout } = await sandbox.commands.run('echo hello; exit 3')
    assert.deepStrictEqual({ exitCode, stdout }, { exitCode: 3, stdout: 'hello\n' })
    await sandbox.kill()
  },
})
