'use strict'

const { defineCase } = require('../lib/case')
const { javascriptProvider } = require('../subjects/javascript-provider')
const { events, chunks } = require('../lib/data')
const { meter, MIB } = require('../lib/meter')

module.exports = defineCase({
  title: '1,000 sessions of 1 MB of events each at once (with --quick 100), 64 KiB chunks, JavaScript provider',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 1,
  quickRounds: 1,
  limitS: 120,
  figures: [
    { label: 'wall', of: 'wallMs', unit: 'ms', goal: '9', over: 'ts', times: 5 },
    { label: 'event loop p99', of: 'loopP99Ms', unit: 'ms', goal: '9', over: 'ts', times: 4 },
    { label: 'peak memory of a session', of: 'rssKb', unit: 'KiB', goal: '9', over: 'ts', times: 2 },
  ],
  async measure(subject, { quick }) {
    const parts = chunks(events(MIB), 64 * 1024)
    const sessions = quick ? 100 : 1000
    /** @type {any[]} */
    const kits = []
    for (let i = 0; i < sessions; i++) {
      const kit = await subject.kit(javascriptProvider({ chunks: parts, perTurn: 1 }))
      kit.on('stdout', () => {})
      kits.push(kit)
    }
    const { wallMs, loopP99Ms, rssMb } = await meter(() => Promise.all(kits.map((kit) => kit.executeCommand('agent'))))
    return { wallMs, loopP99Ms, rssKb: (rssMb * 1024) / sessions }
  },
})
