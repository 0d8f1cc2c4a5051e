'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { object } = require('../lib/data')

module.exports = defineCase({
  title: 'One JSON object of 16 MB in 64 KiB chunks, JavaScript provider',
  note: 'With --quick it is 4 MB, where the quadratic has not grown as far: the bar is meant for 16.',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 2,
  quickRounds: 1,
  figures: [
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '6', over: 'ts', times: 100 },
    { label: 'longest turn of the event loop', of: 'loopMaxMs', unit: 'ms', goal: '6' },
  ],
  ...streamCase({ text: object, cut: 64 * 1024, mib: 16 }),
})
