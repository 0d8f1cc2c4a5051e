'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { makePart, LINE } = require('../lib/output')

const PART = 64 * MIB

module.exports = defineCase({
  title: '1 GiB of output into a JavaScript function (with --quick 256 MiB)',
  note: 'ours: commands.run(…, { onStdout }) of the sandbox, nothing kept; plain: child_process with setEncoding.',
  subjects: ['ours', 'plain'],
  rounds: 3,
  limitS: 90,
  figures: [
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true, atLeast: 400 },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
    { label: 'memory above the start', of: 'rssMb', unit: 'MiB', atMost: 64 },
    { label: 'CPU of this process', of: 'cpuMs', unit: 'ms' },
  ],
  async measure(subject, { quick }) {
    const repeats = quick ? 4 : 16
    let characters = 0
    const count = (/** @type {string} */ text) => {
      characters += text.length
    }
    const command = `for i in $(seq ${repeats}); do cat part; done`
    if (subject.name === 'plain') {
      const shell = await subject.shell()
      const size = await makePart(shell, LINE, PART)
      shell.onText(count)
      const figures = await meter(() => shell.run(command))
      await shell.end()
      assert.strictEqual(characters, size * repeats)
      return { ...figures, mbPerS: characters / 1e3 / figures.wallMs }
    }
    const sandbox = await (await subject.provider()).create()
    const run = (/** @type {string} */ line, options = {}) => sandbox.commands.run(line, options)
    const size = await makePart(/** @type {any} */ ({ run }), LINE, PART)
    await run('cat part', { onStdout: count, maxOutputBytes: 0 })
    characters = 0
    const figures = await meter(() => run(command, { onStdout: count, maxOutputBytes: 0 }))
    await sandbox.kill()
    assert.strictEqual(characters, size * repeats)
    return { ...figures, mbPerS: characters / 1e3 / figures.wallMs }
  },
})
