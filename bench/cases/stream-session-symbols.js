'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { session } = require('../lib/data')

module.exports = defineCase({
  title: 'Agent session in 32 KiB chunks, every eighth event with ✓ — │ and the like',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 3,
  figures: [{ label: 'CPU', of: 'cpuMs', unit: 'ms' }],
  ...streamCase({ text: (bytes) => session(bytes, { symbols: true }), cut: 32 * 1024, mib: 16 }),
})
