'use strict'

/** Streams nobody thought of: JSON documents or text, cut anywhere. The seed is fixed, so that both processes see the same. */

const fc = require('fast-check')
const { command, printing, scenarios } = require('../harness')

const document_ = fc.dictionary(fc.string(), fc.jsonValue({ depthSize: 'small' }), { noNullPrototype: true }).map((object) => JSON.stringify(object))
const documents = fc.array(fc.tuple(document_, fc.constantFrom('', '\n', '\r\n', '\n\n', ' ')).map((both) => both.join('')), { minLength: 1, maxLength: 5 }).map((all) => all.join(''))
const text = fc.string({ unit: fc.constantFrom('a', 'é', '日', '😀', ' ', '\n', '\\', '[', ']', ':'), minLength: 1, maxLength: 40 })

const chunked = (whole) =>
  fc.tuple(whole, fc.array(fc.nat(1000), { maxLength: 8 })).map(([stream, places]) => {
    const at = [...new Set(places.map((place) => place % (stream.length + 1)))].sort((a, b) => a - b)
    return [0, ...at].map((from, index) => stream.slice(from, at[index] ?? stream.length))
  })

const generated = (name, arbitrary, seed) =>
  scenarios(`generated ${name}`, Object.fromEntries(fc.sample(chunked(arbitrary), { seed, numRuns: 40 }).map((chunks, index) => [
    String(index + 1), (sdk) => (index % 2 ? command(sdk, printing([], chunks)) : command(sdk, printing(chunks))),
  ])))

module.exports = [...generated('documents', documents, 1), ...generated('text', text, 2)]
