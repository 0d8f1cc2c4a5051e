'use strict'

/** Kinds of packed actions, as `native.d.ts` numbers them. */
const JSON_ACTION = 0
const EMIT = 1
const RUN = 2
const ANSWER = 3
const FLUSH = 4

/** What a provider's `run` is given, as `native.d.ts` numbers it. */
const LIMIT = 0
const BACKGROUND = 1
const ONLY_STDOUT = 2
const ALOUD = 4

/** Reads what `native.d.ts` calls `Packed`. */
class PackedReader {
  /** @param {string} packed */
  constructor(packed) {
    this.packed = packed
    this.at = 0
  }

  get more() {
    return this.at < this.packed.length
  }

  number() {
    const { packed } = this
    let unit = packed.charCodeAt(this.at++)
    let value = unit & 0x7f
    // Not with shifts: milliseconds may need more than 32 bits.
    for (let scale = 0x80; unit > 0x7f; scale *= 0x80) {
      unit = packed.charCodeAt(this.at++)
      value += (unit & 0x7f) * scale
    }
    return value
  }

  text() {
    const length = this.number()
    this.at += length
    return this.packed.slice(this.at - length, this.at)
  }
}

module.exports = { PackedReader, JSON_ACTION, EMIT, RUN, ANSWER, FLUSH, LIMIT, BACKGROUND, ONLY_STDOUT, ALOUD }
