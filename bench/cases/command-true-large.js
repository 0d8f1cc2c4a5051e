'use strict'

const { defineCase } = require('../lib/case')
const { meter } = require('../lib/meter')
const { median, timed } = require('../lib/stats')

module.exports = defineCase({
  title: 'executeCommand("true") from a process that holds 1 GB',
  subjects: ['ours', 'ts', 'plain'],
  rounds: 3,
  figures: [
    { label: 'p50', of: 'trueMs', unit: 'ms', atMost: 2 },
    { label: 'p50', of: 'trueMs', unit: 'ms', goal: '15', over: 'ts', times: 40 },
    { label: 'longest stall of the event loop', of: 'loopMaxMs', unit: 'ms', atMost: 2 },
    { label: 'longest stall of the event loop', of: 'loopMaxMs', unit: 'ms', goal: '15', over: 'ts', times: 20 },
  ],
  async measure(subject, { quick }) {
    const shell = await subject.shell()
    await timed(3, () => shell.run('true'))
    const ballast = Buffer.alloc(1e9, 1)
    await timed(2, () => shell.run('true'))
    /** @type {number[]} */
    let values = []
    const { loopMaxMs } = await meter(async () => {
      values = await timed(quick ? 5 : 15, () => shell.run('true'))
    })
    if (ballast[5e8] !== 1) throw new Error('the ballast is gone')
    await shell.end()
    return { trueMs: median(values), loopMaxMs }
  },
})
