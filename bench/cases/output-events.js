'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { makePart, counter, EVENT } = require('../lib/output')

module.exports = defineCase({
  title: '`cat` of 64 MB of events through executeCommand, default options (with --quick 16)',
  subjects: ['ours', 'ts', 'linear', 'plain'],
  rounds: 3,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', goal: '16', over: 'ts', times: 5 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
    { label: 'memory above the start', of: 'rssMb', unit: 'MiB' },
    { label: 'CPU of this process', of: 'cpuMs', unit: 'ms' },
  ],
  async measure(subject, { quick }) {
    const shell = await subject.shell()
    const bytes = await makePart(shell, EVENT, (quick ? 16 : 64) * MIB)
    const seen = counter(shell)
    const figures = await meter(() => shell.run('cat part'))
    await shell.end()
    const events = bytes / (EVENT.length + 1)
    if (subject.name === 'plain') assert.strictEqual(seen.characters, bytes)
    else assert.strictEqual(seen.messages, events)
    return { ...figures, mbPerS: bytes / 1e3 / figures.wallMs }
  },
  async check(subject) {
    if (subject.name === 'plain') return
    const shell = await subject.shell()
    /** @type {string[]} */
    const got = []
    shell.onText((/** @type {string} */ text) => got.push(text.trim()))
    await shell.run(`i=0; while [ $i -lt 1000 ]; do printf '{"n":%d,"text":"{\\\\"} ✓"}\\n' $i; i=$((i+1)); done`)
    await shell.end()
    const events = got.filter((text) => text.startsWith('{"n":'))
    assert.deepStrictEqual(events, Array.from({ length: 1000 }, (_, n) => `{"n":${n},"text":"{\\"} ✓"}`))
  },
})
