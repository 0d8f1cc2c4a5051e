'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { defineCase } = require('../lib/case')
const { median, timed } = require('../lib/stats')
const { spread } = require('../lib/spread')
const { sandboxed } = require('../lib/processes')

/** What a directory takes on the disk. @param {string} folder @returns {number} KiB */
function disk(folder) {
  let blocks = 0
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name)
    blocks += fs.lstatSync(file).blocks / 2
    if (entry.isDirectory()) blocks += disk(file)
  }
  return blocks
}

module.exports = defineCase({
  title: '10,000 parked sessions: no processes, only files (with --quick 300)',
  subjects: ['ours'],
  rounds: 1,
  quickRounds: 1,
  limitS: 1200,
  figures: [
    { label: 'made, used once, and parked', of: 'parkPerS', unit: '/s', more: true },
    { label: 'processes while parked', of: 'processes', unit: '', atMost: 0 },
    { label: 'disk of each', of: 'diskKb', unit: 'KiB' },
    { label: 'memory of this process for each', of: 'ownKb', unit: 'KiB' },
    { label: 'command in a parked one', of: 'wakeMs', unit: 'ms', atMost: 10 },
    { label: 'destroyed', of: 'destroyPerS', unit: '/s', more: true },
  ],
  async measure(subject, { quick }) {
    const count = quick ? 300 : 10_000
    const home = String(process.env.VIBEKIT_HOME)
    const before = new Set(sandboxed())
    const alive = () => sandboxed().filter((pid) => !before.has(pid)).length
    const provider = await subject.provider({ idleTimeoutMs: 100 })
    await (await provider.create()).kill()
    const rss = process.memoryUsage.rss()
    /** @type {any[]} */
    const sandboxes = []
    const start = performance.now()
    await spread([...Array(count).keys()], async (n) => {
      const sandbox = await provider.create()
      await sandbox.commands.run(`echo ${n} > mine`)
      sandboxes[n] = sandbox
    })
    for (let waited = 0; alive() > 0 && waited < 10_000; waited += 20) await sleep(20)
    const parkPerS = (count * 1000) / (performance.now() - start)
    const processes = alive()
    const ownKb = (process.memoryUsage.rss() - rss) / 1024 / count
    const diskKb = disk(home) / count
    const some = sandboxes.filter((_, n) => n % Math.ceil(count / 100) === 0)
    const wakeMs = median(
      await timed(some.length, async () => {
        const sandbox = some.pop()
        const { stdout } = await sandbox.commands.run('cat mine')
        assert.strictEqual(stdout, `${sandboxes.indexOf(sandbox)}\n`)
      }),
    )
    const [destroyMs] = await timed(1, () => spread(sandboxes, (sandbox) => sandbox.kill()))
    return { parkPerS, processes, diskKb, ownKb, wakeMs, destroyPerS: (count * 1000) / destroyMs }
  },
})
