'use strict'

const { defineCase } = require('../lib/case')
const { resident } = require('../lib/meter')

module.exports = defineCase({
  title: 'Import and first command in a real process (ours: sandbox made, command run in it)',
  subjects: ['ours', 'ts', 'linear', 'plain'],
  rounds: 15,
  quickRounds: 5,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', atMost: 10 },
    { label: 'wall', of: 'wallMs', unit: 'ms', over: 'ts' },
    { label: 'memory', of: 'rssMb', unit: 'MiB' },
  ],
  async measure(subject) {
    await import('../lib/nothing.mjs')
    const before = resident('VmRSS')
    const start = performance.now()
    const shell = await subject.shell()
    await shell.run('true')
    const wallMs = performance.now() - start
    const rssMb = resident('VmRSS') - before
    await shell.end()
    return { wallMs, rssMb }
  },
})
