'use strict'

const { defineCase } = require('../lib/case')
const { events } = require('../lib/e2b-case')

module.exports = defineCase({
  title: 'E2B: 4 MiB of events of 200 B through executeCommand, one in each message (with --quick 1)',
  note: 'ts: over @vibe-kit/e2b 0.0.2. official: e2b 2.51.0 by itself, text as it comes. All over the same double.',
  subjects: ['ours', 'ts', 'official'],
  rounds: 3,
  limitS: 120,
  figures: [
    { label: 'CPU for a MiB', of: 'cpuPerMb', unit: 'ms', goal: '19', over: 'ts', times: 10 },
    { label: 'of it on the main thread', of: 'mainPerMb', unit: 'ms' },
    { label: 'throughput', of: 'mbPerS', unit: 'MB/s', more: true },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', atMost: 10 },
  ],
  ...events({ frame: 200, mib: 4, quickMib: 1 }),
})
