'use strict'

const { defineCase } = require('../lib/case')
const { resident } = require('../lib/meter')

module.exports = defineCase({
  title: 'require alone (CommonJS)',
  subjects: ['ours', 'ts'],
  rounds: 15,
  quickRounds: 5,
  figures: [
    { label: 'require', of: 'requireMs', unit: 'ms', over: 'ts', share: 0.75 },
    { label: 'memory after require', of: 'rssMb', unit: 'MiB' },
  ],
  async measure(subject) {
    const before = resident('VmRSS')
    const start = performance.now()
    subject.require()
    return { requireMs: performance.now() - start, rssMb: resident('VmRSS') - before }
  },
})
