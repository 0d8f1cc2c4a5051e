'use strict'

const { defineCase } = require('../lib/case')
const { meter } = require('../lib/meter')
const { median, timed } = require('../lib/stats')
const { startE2B, e2bShell } = require('../lib/e2b')

module.exports = defineCase({
  title: 'E2B: executeCommand("true") in a running sandbox',
  note: 'The double starts a real process for each command, which is most of the time; ts asks for two, the first an `mkdir`.',
  subjects: ['ours', 'ts', 'official'],
  figures: [
    { label: 'p50', of: 'trueMs', unit: 'ms', goal: '20', over: 'ts', times: 1.5 },
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '20', over: 'ts', times: 4 },
  ],
  async measure(subject, { quick }) {
    const double = await startE2B()
    const shell = await e2bShell(subject, double)
    const run = () => shell.run('true')
    await timed(10, run)
    const times = quick ? 50 : 150
    /** @type {number[]} */
    let each = []
    const { cpuMs } = await meter(async () => {
      each = await timed(times, run)
    })
    await shell.end()
    double.end()
    return { trueMs: median(each), cpuMs: cpuMs / times }
  },
})
