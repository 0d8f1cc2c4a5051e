'use strict'

const assert = require('node:assert')
const { setTimeout: sleep } = require('node:timers/promises')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { EVENT } = require('../lib/output')
const { startE2B, e2bShell } = require('../lib/e2b')

const STREAMS = 100

module.exports = defineCase({
  title: `E2B: ${STREAMS} commands of one sandbox at once, each writing 512 KiB of events within five seconds (with --quick 128 KiB)`,
  note: 'In bursts of 8 KiB, as agents write.',
  subjects: ['ours', 'ts', 'official'],
  rounds: 3,
  limitS: 180,
  figures: [
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
    { label: 'the same while nothing is done', of: 'idleP99Ms', unit: 'ms' },
    { label: 'event loop, longest', of: 'loopMaxMs', unit: 'ms' },
    { label: 'wall', of: 'wallMs', unit: 'ms' },
    { label: 'CPU', of: 'cpuMs', unit: 'ms' },
    { label: 'memory above the start', of: 'rssMb', unit: 'MiB' },
  ],
  async measure(subject, { quick }) {
    const double = await startE2B()
    const shell = await e2bShell(subject, double)
    let characters = 0
    shell.onText((text) => {
      if (text.startsWith('{"type":"item')) characters += text.trimEnd().length
    })
    // Whole lines only, so that every subject has the same messages.
    const lines = Math.floor(8192 / (EVENT.length + 1))
    const bursts = quick ? 16 : 64
    await shell.run(`yes '${EVENT}' | head -n ${lines} >burst`)
    const line = `i=0; while [ $i -lt ${bursts} ]; do cat burst; i=$((i+1)); sleep ${(5 / bursts).toFixed(3)}; done`
    // What the machine's other load does to it.
    const { loopP99Ms: idleP99Ms } = await meter(() => sleep(quick ? 1000 : 3000))
    const figures = await meter(() => Promise.all(Array.from({ length: STREAMS }, () => shell.run(line))))
    await shell.end()
    double.end()
    const expected = STREAMS * bursts * lines * EVENT.length
    if (subject.name !== 'official') assert.strictEqual(characters, expected)
    assert.ok(expected > MIB)
    return { ...figures, idleP99Ms }
  },
})
