'use strict'

/**
 * Cases that push made-up output through a JavaScript provider: what is measured is the SDK's own work, without any
 * process. Listeners only count.
 */

const assert = require('node:assert')
const { chunks } = require('./data')
const { meter, MIB } = require('./meter')
const { javascriptProvider } = require('../subjects/javascript-provider')

/** @param {string} message */
const isEnvelope = (message) => message.startsWith('{"type": "start"') || message.startsWith('{"type": "end"')

/**
 * Runs a command that prints these chunks, and gives the messages to a listener.
 * @param {any} subject @param {readonly string[]} parts @param {(message: string) => void} listener @param {number} [perTurn]
 */
async function prepare(subject, parts, listener, perTurn) {
  const kit = await subject.kit(javascriptProvider({ chunks: parts, perTurn }))
  kit.on('stdout', listener)
  return () => kit.executeCommand('agent')
}

/**
 * @param {object} stream
 * @param {(bytes: number) => string} stream.text
 * @param {number | (() => () => number)} stream.cut  size of a chunk, or a maker of sizes
 * @param {number} stream.mib  how much @param {number} [stream.quickMib]
 * @param {number} [stream.perTurn]  characters in one turn of the event loop; default 64 Ki
 * @param {boolean} [stream.warm]  whether a first small run lets the compiler settle; default true
 * @returns {Pick<import('./case').Case, 'measure' | 'check'>}
 */
function streamCase({ text, cut, mib, quickMib = mib / 4, perTurn, warm = true }) {
  const size = () => (typeof cut === 'number' ? cut : cut())
  return {
    async measure(subject, { quick }) {
      let messages = 0
      const count = () => {
        messages += 1
      }
      if (warm) await (await prepare(subject, chunks(text(MIB / 2), size()), count))()
      const bytes = (quick ? quickMib : mib) * MIB
      const work = await prepare(subject, chunks(text(bytes), size()), count, perTurn)
      messages = 0
      const { wallMs, cpuMs, loopP99Ms, loopMaxMs, rssMb } = await meter(work)
      return { cpuMs, wallMs, loopP99Ms, loopMaxMs, rssMb, mbPerS: bytes / 1e6 / (wallMs / 1000), messages }
    },
    /** Upstream's own quirk is allowed: a line feed that comes in a chunk of its own leads the next message. */
    async check(subject) {
      const sent = text(MIB)
      /** @type {string[]} */
      const got = []
      const work = await prepare(subject, chunks(sent, size()), (message) => {
        if (!isEnvelope(message)) got.push(message)
      })
      await work()
      if (sent.startsWith('{')) assert.deepStrictEqual(got.map((message) => message.trim()), sent.trimEnd().split('\n'))
      else assert.strictEqual(got.join(''), sent)
    },
  }
}

module.exports = { streamCase, prepare }
