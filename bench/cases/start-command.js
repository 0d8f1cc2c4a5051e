'use strict'

const { defineCase } = require('../lib/case')
const { javascriptProvider } = require('../subjects/javascript-provider')
const { resident } = require('../lib/meter')

module.exports = defineCase({
  title: 'Import and first command, JavaScript provider that answers at once',
  subjects: ['ours', 'ts'],
  rounds: 15,
  quickRounds: 5,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', goal: '10', over: 'ts', times: 3 },
    { label: 'wall', of: 'wallMs', unit: 'ms', atMost: 10 },
    { label: 'memory', of: 'rssMb', unit: 'MiB', atMost: 6 },
  ],
  async measure(subject) {
    // Node loads its own ES module loader at the first import(); that is nobody's cost.
    await import('../lib/nothing.mjs')
    const before = resident('VmRSS')
    const start = performance.now()
    const kit = await subject.kit(javascriptProvider())
    await kit.executeCommand('true')
    return { wallMs: performance.now() - start, rssMb: resident('VmRSS') - before }
  },
})
