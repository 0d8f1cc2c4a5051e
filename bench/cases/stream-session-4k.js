'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { session } = require('../lib/data')

module.exports = defineCase({
  title: 'Agent session in 4 KiB chunks, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  figures: [
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '3', over: 'ts', times: 25 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms' },
  ],
  ...streamCase({ text: session, cut: 4 * 1024, mib: 16 }),
})
