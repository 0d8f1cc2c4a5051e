'use strict'

const { defineCase } = require('../lib/case')
const { median } = require('../lib/stats')
const { startE2B, KEY, provider } = require('../lib/e2b')

module.exports = defineCase({
  title: 'E2B: making a sandbox with its working directory, and ending it',
  note: 'CPU of this process: the time of our own. Most of the wall time the double spends on a view of the machine for the sandbox.',
  subjects: ['ours', 'ts', 'official'],
  rounds: 3,
  figures: [
    { label: 'CPU for making one', of: 'createCpuMs', unit: 'ms', atMost: 5 },
    { label: 'wall of making one', of: 'createMs', unit: 'ms' },
  ],
  async measure(subject, { quick }) {
    const double = await startE2B()
    const make = await maker(subject, double.url)
    const [cpu, wall] = [[], []].map(() => /** @type {number[]} */ ([]))
    for (let round = -2; round < (quick ? 10 : 30); round++) {
      const [before, start] = [process.cpuUsage(), performance.now()]
      const sandbox = await make()
      const { user, system } = process.cpuUsage(before)
      if (round >= 0) {
        cpu.push((user + system) / 1000)
        wall.push(performance.now() - start)
      }
      await sandbox.kill()
    }
    double.end()
    return { createCpuMs: median(cpu), createMs: median(wall) }
  },
})

/** @param {any} subject @param {string} url @returns {Promise<() => Promise<{ kill: () => Promise<unknown> }>>} */
async function maker(subject, url) {
  if (subject.name !== 'official') {
    const made = await provider(subject, url)
    return () => made.create({ A: 'b' }, 'codex', '/vibe0')
  }
  const { Sandbox } = subject.e2b()
  return async () => {
    const sandbox = await Sandbox.create('vibekit-codex', { apiKey: KEY, apiUrl: url, sandboxUrl: url, envs: { A: 'b' }, timeoutMs: 3_600_000 })
    await sandbox.commands.run('sudo mkdir -p /vibe0')
    return sandbox
  }
}
