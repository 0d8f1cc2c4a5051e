'use strict'

const { defineCase } = require('../lib/case')
const { prepare, streamCase } = require('../lib/stream-case')
const { log, chunks } = require('../lib/data')
const { meter, MIB } = require('../lib/meter')
const { exponent } = require('../lib/stats')

const CUT = 64 * 1024
const SIZES = [4, 16, 64]

module.exports = defineCase({
  title: 'Plain log of 4, 16 and 64 MB in 64 KiB chunks, JavaScript provider',
  note: 'ts at 64 MB (with --quick at 16 too) is reckoned from its growth up to there; --long measures it.',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 2,
  quickRounds: 1,
  limitS: 120,
  nodeOptions: ['--expose-gc'],
  figures: [
    { label: 'CPU, 4 MB', of: 'cpuMs4', unit: 'ms', goal: '5', over: 'ts', times: 100 },
    { label: 'CPU, 16 MB', of: 'cpuMs16', unit: 'ms', goal: '5', over: 'ts', times: 400 },
    { label: 'CPU, 64 MB', of: 'cpuMs64', unit: 'ms', goal: '5', over: 'ts', times: 1500 },
    { label: 'exponent of size', of: 'exponent', unit: '', goal: '5', atMost: 1.1 },
  ],
  async measure(subject, { quick, long }) {
    await (await prepare(subject, chunks(log(MIB / 4), CUT), () => {}))()
    const measured = subject.name !== 'ts' || long ? SIZES : quick ? [1, 4] : [4, 16]
    /** @type {Record<number, number>} */
    const cost = {}
    for (const mib of measured) {
      const work = await prepare(subject, chunks(log(mib * MIB), CUT), () => {})
      // Made-up text leaves several times its size behind, which is not the subject's to clear away.
      global.gc?.()
      cost[mib] = (await meter(work)).cpuMs
    }
    const [small, large] = [measured[0], measured[measured.length - 1]]
    const slope = exponent(small, cost[small], large, cost[large])
    const at = (/** @type {number} */ mib) => cost[mib] ?? cost[large] * (mib / large) ** slope
    return { cpuMs4: at(4), cpuMs16: at(16), cpuMs64: at(64), exponent: slope }
  },
  check: streamCase({ text: log, cut: CUT, mib: 1 }).check,
})
