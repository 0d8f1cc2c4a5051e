'use strict'

/** Text made where commands run, so that producing it costs no more than reading a cached file. */

const LINE = '[12:00:00] building module 17 of 42: everything is fine so far and nothing needs to be done'
const { event } = require('./data')

/** A shell quotes it as it is: no single quotes in it. */
const EVENT = event(17, 200).trimEnd()

/**
 * Makes the file `part` of so many bytes of this line, with whole lines only.
 * @param {import('../subjects/kit').Shell} shell @param {string} line @param {number} bytes
 * @returns {Promise<number>} bytes it really has
 */
async function makePart(shell, line, bytes) {
  const whole = Math.floor(bytes / (line.length + 1)) * (line.length + 1)
  await shell.run(`yes '${line}' | head -c ${whole} > part`)
  return whole
}

/** Counts what comes: characters of output, without the SDK's own two messages. @param {import('../subjects/kit').Shell} shell */
function counter(shell) {
  const seen = { characters: 0, messages: 0, firstAt: 0 }
  shell.onText((text) => {
    if (text.startsWith('{"type": "start"') || text.startsWith('{"type": "end"')) return
    if (seen.messages === 0) seen.firstAt = performance.now()
    seen.characters += text.length
    seen.messages += 1
  })
  return seen
}

module.exports = { LINE, EVENT, makePart, counter }
