'use strict'

/** One server-sent event whose name is also the `type` of its data. @param {{ type: string, [field: string]: unknown }} data */
const named = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`

/** One server-sent event without a name. @param {object} data */
const plain = (data) => `data: ${JSON.stringify(data)}\n\n`

/**
 * A text in a few pieces, as models give it. Surrogate pairs stay whole.
 * @param {string} text
 */
function pieces(text) {
  const characters = [...text]
  const size = Math.max(1, Math.ceil(characters.length / 3))
  const found = []
  for (let at = 0; at < characters.length; at += size) found.push(characters.slice(at, at + size).join(''))
  return found
}

/** What every answer costs. */
const usage = { input: 11, cached: 3, output: 7, reasoning: 2 }

module.exports = { named, plain, pieces, usage }
