'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { timed } = require('../lib/stats')
const { spread } = require('../lib/spread')
const { sandboxed } = require('../lib/processes')

module.exports = defineCase({
  title: '1,000 live sessions at once (with --quick 100)',
  subjects: ['ours'],
  rounds: 1,
  quickRounds: 1,
  limitS: 120,
  figures: [
    { label: 'created', of: 'createPerS', unit: '/s', more: true },
    { label: 'a command in each', of: 'runPerS', unit: '/s', more: true },
    { label: 'destroyed', of: 'destroyPerS', unit: '/s', more: true },
    { label: 'processes that survive', of: 'survivors', unit: '', atMost: 0 },
  ],
  async measure(subject, { quick }) {
    const count = quick ? 100 : 1000
    const before = new Set(sandboxed())
    const provider = await subject.provider()
    /** @type {any[]} */
    const sandboxes = []
    const rate = async (/** @type {() => Promise<unknown>} */ work) => (count * 1000) / (await timed(1, work))[0]
    const createPerS = await rate(() =>
      spread(Array.from({ length: count }), async () => sandboxes.push(await provider.create())),
    )
    const runPerS = await rate(() =>
      spread([...sandboxes.keys()], async (n) => {
        const { stdout } = await sandboxes[n].commands.run(`echo ${n} > mine; cat mine`)
        assert.strictEqual(stdout, `${n}\n`)
      }),
    )
    const destroyPerS = await rate(() => spread(sandboxes, (sandbox) => sandbox.kill()))
    const survivors = sandboxed().filter((pid) => !before.has(pid)).length
    return { createPerS, runPerS, destroyPerS, survivors }
  },
})
