'use strict'

const { defineCase } = require('../lib/case')
const { javascriptProvider } = require('../subjects/javascript-provider')
const { meter } = require('../lib/meter')

module.exports = defineCase({
  title: 'executeCommand over a JavaScript provider that answers at once',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 7,
  figures: [
    { label: 'CPU each', of: 'cpuUs', unit: 'µs', over: 'ts', share: 1.5 },
    { label: 'wall each', of: 'wallUs', unit: 'µs' },
    { label: 'heap left behind each', of: 'heapB', unit: 'B', goal: '22', atMost: 1 },
  ],
  nodeOptions: ['--expose-gc'],
  async measure(subject, { quick }) {
    const kit = await subject.kit(javascriptProvider())
    const times = quick ? 20_000 : 100_000
    const run = async (/** @type {number} */ count) => {
      for (let i = 0; i < count; i++) await kit.executeCommand('true')
    }
    const heap = () => {
      global.gc?.()
      return process.memoryUsage().heapUsed
    }
    await run(20_000)
    const before = heap()
    const { cpuMs, wallMs } = await meter(() => run(times))
    return { cpuUs: (cpuMs * 1000) / times, wallUs: (wallMs * 1000) / times, heapB: Math.max(0, heap() - before) / times }
  },
})
