'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { events, tiny } = require('../lib/data')

module.exports = defineCase({
  title: 'Events of 200 B in chunks of 1 to 37 B, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  figures: [
    { label: 'CPU', of: 'cpuMs', unit: 'ms', goal: '4', over: 'ts', times: 3.5 },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
  ],
  ...streamCase({ text: events, cut: tiny, mib: 8 }),
})
