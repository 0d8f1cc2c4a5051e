'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { LINE } = require('../lib/output')
const { startE2B, KEY } = require('../lib/e2b')

module.exports = defineCase({
  title: 'E2B: 1 GiB of output past a reader that is slower than the network (with --quick 128 MiB)',
  note: 'Nothing is kept. The reader works 1 ms for each 64 KiB. 32 MiB go before, by which V8 has its young generation at full size. official: its result keeps all there was, so it gets a sixteenth.',
  subjects: ['ours', 'official'],
  rounds: 2,
  quickRounds: 1,
  limitS: 300,
  figures: [
    { label: 'memory above the start', of: 'rssMb', unit: 'MiB', atMost: 32 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
  ],
  async measure(subject, { quick }) {
    const double = await startE2B()
    const mine = subject.name === 'ours'
    const bytes = ((quick ? 128 : 1024) * MIB) / (mine ? 1 : 16)
    let characters = 0
    const onStdout = (/** @type {string} */ text) => {
      characters += text.length
      for (const end = performance.now() + text.length / 65_536; performance.now() < end; );
    }
    const where = { apiKey: KEY, apiUrl: double.url, sandboxUrl: double.url }
    const sandbox = mine
      ? await (await subject.load()).createE2BProvider(where).create()
      : await subject.e2b().Sandbox.create('vibekit-codex', { ...where, timeoutMs: 3_600_000 })
    const run = (/** @type {string} */ line) => sandbox.commands.run(line, { onStdout, maxOutputBytes: 0, timeoutMs: 3_600_000 })
    await run(`yes '${LINE}' | head -c ${32 * MIB}`)
    characters = 0
    const figures = await meter(() => run(`yes '${LINE}' | head -c ${bytes}`))
    await sandbox.kill()
    double.end()
    assert.strictEqual(characters, bytes)
    return { ...figures, mbPerS: bytes / 1e3 / figures.wallMs }
  },
})
