'use strict'

const { defineCase } = require('../lib/case')
const { resident } = require('../lib/meter')

module.exports = defineCase({
  title: 'import alone (ES modules)',
  subjects: ['ours', 'ts'],
  rounds: 15,
  quickRounds: 5,
  figures: [
    { label: 'import', of: 'importMs', unit: 'ms', over: 'ts', share: 0.75 },
    { label: 'memory after import', of: 'rssMb', unit: 'MiB' },
  ],
  async measure(subject) {
    await import('../lib/nothing.mjs')
    const before = resident('VmRSS')
    const start = performance.now()
    await subject.load()
    return { importMs: performance.now() - start, rssMb: resident('VmRSS') - before }
  },
})
