'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { events } = require('../lib/data')

module.exports = defineCase({
  title: 'Events of 200 B in 64 KiB chunks, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 7,
  figures: [
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '1', over: 'ts', times: 5 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms' },
  ],
  ...streamCase({ text: events, cut: 64 * 1024, mib: 32 }),
})
