'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { session } = require('../lib/data')

module.exports = defineCase({
  title: 'Agent session (events of 0.2 to 200 KB) in 32 KiB chunks, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 7,
  figures: [
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '2', over: 'ts', times: 7 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
  ],
  ...streamCase({ text: session, cut: 32 * 1024, mib: 32 }),
})
