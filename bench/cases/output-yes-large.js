'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter } = require('../lib/meter')
const { counter } = require('../lib/output')

module.exports = defineCase({
  title: '`yes | head -c 1G` through executeCommand, 1 MiB kept for the result (with --quick 256M)',
  note: 'plain keeps nothing at all. ts cannot: a string of 1 GB is more than V8 has.',
  subjects: ['ours', 'plain'],
  rounds: 3,
  limitS: 90,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', goal: '17', over: 'plain', times: 1 },
    { label: 'CPU of this process', of: 'cpuMs', unit: 'ms', goal: '17', over: 'plain' },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
  ],
  async measure(subject, { quick }) {
    const bytes = quick ? 2 ** 28 : 2 ** 30
    const shell = await subject.shell()
    await shell.run('true')
    const seen = counter(shell)
    const figures = await meter(() => shell.run(`yes | head -c ${bytes}`, { maxOutputBytes: 2 ** 20 }))
    await shell.end()
    assert.strictEqual(seen.characters, bytes)
    return figures
  },
})
