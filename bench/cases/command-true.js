'use strict'

const { defineCase } = require('../lib/case')
const { median, timed } = require('../lib/stats')

const LANES = 8

module.exports = defineCase({
  title: 'executeCommand("true") in a running session (ours: sandboxed)',
  subjects: ['ours', 'ts', 'linear', 'plain'],
  figures: [
    { label: 'p50', of: 'trueMs', unit: 'ms', atMost: 1.5 },
    { label: 'p50', of: 'trueMs', unit: 'ms', goal: '14', over: 'ts', times: 3 },
    { label: `${LANES} at once`, of: 'perS', unit: '/s', more: true, goal: '14', over: 'ts', times: 3 },
  ],
  async measure(subject, { quick }) {
    const shell = await subject.shell()
    const run = () => shell.run('true')
    await timed(5, run)
    const times = quick ? 30 : 60
    const trueMs = median(await timed(times, run))
    const start = performance.now()
    await Promise.all(Array.from({ length: LANES }, () => timed(times / 2, run)))
    const perS = (LANES * (times / 2) * 1000) / (performance.now() - start)
    await shell.end()
    return { trueMs, perS }
  },
})
