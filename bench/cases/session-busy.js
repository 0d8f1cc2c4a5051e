'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { defineCase } = require('../lib/case')
const { sandboxed } = require('../lib/processes')

const LOOPS = 500

module.exports = defineCase({
  title: `Ending a session in which ${LOOPS} processes fork without pause`,
  subjects: ['ours'],
  rounds: 3,
  quickRounds: 1,
  figures: [
    { label: 'destroy', of: 'destroyMs', unit: 'ms', atMost: 500 },
    { label: 'processes that survive', of: 'survivors', unit: '', atMost: 0 },
  ],
  async measure(subject) {
    const before = new Set(sandboxed())
    const sandbox = await (await subject.provider()).create()
    // Shells that fork `true` for ever.
    const loop = 'while :; do /bin/true; done'
    await sandbox.commands.run(`i=0; while [ $i -lt ${LOOPS} ]; do (${loop}) & i=$((i+1)); done; wait`, { background: true })
    const alive = () => sandboxed().filter((pid) => !before.has(pid))
    for (let waited = 0; alive().length < LOOPS && waited < 20_000; waited += 100) await sleep(100)
    const processes = alive().length
    const start = performance.now()
    await sandbox.kill()
    const destroyMs = performance.now() - start
    if (processes < LOOPS) throw new Error(`only ${processes} of ${LOOPS} processes came up`)
    return { destroyMs, processes, survivors: alive().length }
  },
})
