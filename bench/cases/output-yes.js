'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter } = require('../lib/meter')
const { counter } = require('../lib/output')

const BYTES = 4 * 1024 * 1024

module.exports = defineCase({
  title: '`yes | head -c 4M` through executeCommand',
  subjects: ['ours', 'ts', 'linear', 'plain'],
  rounds: 5,
  quickRounds: 1,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', goal: '17', over: 'ts', times: 100 },
    { label: 'first output after', of: 'firstMs', unit: 'ms', atMost: 10 },
    { label: 'CPU of this process', of: 'cpuMs', unit: 'ms' },
  ],
  async measure(subject) {
    const shell = await subject.shell()
    await shell.run('true')
    const seen = counter(shell)
    let start = 0
    const figures = await meter(() => {
      start = performance.now()
      return shell.run(`yes | head -c ${BYTES}`)
    })
    await shell.end()
    assert.strictEqual(seen.characters, BYTES)
    return { ...figures, firstMs: seen.firstAt - start }
  },
})
