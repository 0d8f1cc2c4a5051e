'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { makePart, counter, LINE } = require('../lib/output')

module.exports = defineCase({
  title: '1 GB of plain text through executeCommand (with --quick 256 MB)',
  note: 'ours, first: with the default of 64 MiB kept for the result, which is most of the memory; second: 1 MiB kept. ts cannot.',
  subjects: ['ours', 'plain'],
  rounds: 3,
  limitS: 90,
  figures: [
    { label: 'wall', of: 'defaultWallMs', unit: 'ms', goal: '8', over: 'plain' },
    { label: 'memory above the start', of: 'defaultRssMb', unit: 'MiB', goal: '8' },
    { label: 'event loop p99', of: 'defaultLoopP99Ms', unit: 'ms', goal: '8' },
    { label: 'wall, 1 MiB kept', of: 'wallMs', unit: 'ms', goal: '8', atMost: 2000 },
    { label: 'memory above the start, 1 MiB kept', of: 'rssMb', unit: 'MiB', goal: '8', atMost: 64 },
    { label: 'event loop p99, 1 MiB kept', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
  ],
  async measure(subject, { quick }) {
    const repeats = quick ? 4 : 16
    const shell = await subject.shell()
    const size = await makePart(shell, LINE, 64 * MIB)
    const seen = counter(shell)
    const command = `for i in $(seq ${repeats}); do cat part; done`
    const figures = await meter(() => shell.run(command, { maxOutputBytes: MIB }))
    assert.strictEqual(seen.characters, size * repeats)
    const usual = await meter(() => shell.run(command))
    await shell.end()
    return { ...figures, defaultWallMs: usual.wallMs, defaultRssMb: usual.rssMb, defaultLoopP99Ms: usual.loopP99Ms }
  },
})
