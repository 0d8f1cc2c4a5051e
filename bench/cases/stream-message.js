'use strict'

const { defineCase } = require('../lib/case')
const { streamCase } = require('../lib/stream-case')
const { object } = require('../lib/data')

module.exports = defineCase({
  title: 'One message of 2 MiB that comes in pieces of 4 KiB in one turn, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 3,
  quickRounds: 1,
  figures: [
    { label: 'the event loop stands still', of: 'loopMaxMs', unit: 'ms', atMost: 5 },
    { label: 'CPU', of: 'cpuMs', unit: 'ms', over: 'ts' },
  ],
  ...streamCase({ text: object, cut: 4 * 1024, mib: 2, quickMib: 2, perTurn: Infinity }),
})
