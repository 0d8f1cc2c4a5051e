'use strict'

const fs = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const { defineCase } = require('../lib/case')
const { pids, sandboxed, program, proportional } = require('../lib/processes')

/** What the kernel itself holds, KiB: unreclaimable slabs, stacks, page tables, per-CPU areas, and pages of tmpfs. */
function kernel() {
  const text = fs.readFileSync('/proc/meminfo', 'latin1')
  const fields = ['SUnreclaim', 'KernelStack', 'PageTables', 'Percpu', 'Shmem']
  return fields.reduce((sum, field) => sum + Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0), 0)
}

module.exports = defineCase({
  title: 'An idle session: memory of its processes and of the kernel for it (200 of them; with --quick 50)',
  note: 'Kernel: growth of the machine\'s own, so only the least of several rounds on a quiet machine means anything.',
  subjects: ['ours'],
  rounds: 3,
  quickRounds: 1,
  figures: [
    { label: 'all', of: 'allMb', unit: 'MiB', atMost: 1 },
    { label: 'its processes (proportional)', of: 'processMb', unit: 'MiB' },
    { label: 'the kernel', of: 'kernelMb', unit: 'MiB' },
    { label: 'processes', of: 'processes', unit: '' },
    { label: 'this process', of: 'ownKb', unit: 'KiB' },
  ],
  async measure(subject, { quick }) {
    const count = quick ? 50 : 200
    const provider = await subject.provider()
    await (await provider.create()).kill()
    await sleep(300)
    const before = new Set(pids())
    const kernelBefore = kernel()
    const own = process.memoryUsage.rss()
    const sandboxes = []
    for (let i = 0; i < count; i++) sandboxes.push(await provider.create())
    await sleep(300)
    const kernelKb = (kernel() - kernelBefore) / count
    const ownKb = (process.memoryUsage.rss() - own) / 1024 / count
    // Sandboxes' processes are told by their namespace, helpers outside of it by the program they share with those.
    const inside = sandboxed().filter((pid) => !before.has(pid))
    const programs = new Set(inside.map(program))
    const all = pids().filter((pid) => !before.has(pid) && (inside.includes(pid) || programs.has(program(pid))))
    const processKb = all.reduce((sum, pid) => sum + proportional(pid), 0) / count
    for (const sandbox of sandboxes) await sandbox.kill()
    return { allMb: (processKb + kernelKb) / 1024, processMb: processKb / 1024, kernelMb: kernelKb / 1024, processes: all.length / count, ownKb }
  },
})
