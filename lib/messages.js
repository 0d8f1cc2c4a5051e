'use strict'

/**
 * The messages in one stream of a JavaScript provider's command. The text never leaves JavaScript: native code says where a
 * message begins and ends, and what is handed to listeners is cut from the chunks themselves. Only text with a `}` can end a
 * message; all other is kept unseen, in ropes that cost the same however many chunks they are made of.
 */

/** Units that are scanned at once. */
const PIECE = 64 * 1024
const LINE_FEED = 10
/** Units of a chunk that counts as small. */
const SMALL = 256

/** Where native code writes to. Read before anything else runs, so all streams can share it. */
const places = new Int32Array(4096)

/** @param {string} text */
const withoutNul = (text) => (text.includes('\0') ? text.replaceAll('\0', '') : text)

/** Whether a chunk is nothing but white space; most begin with something else. @param {string} chunk */
function isBlank(chunk) {
  const first = chunk.charCodeAt(0)
  if (first > 0x20 && first < 0x7f) return false
  return withoutNul(chunk).trim() === ''
}

class Messages {
  /** @param {import('./native')} native */
  constructor(native) {
    this.native = native
    /** @type {import('./native').Scanner | undefined} */
    this.scanner = undefined
    /** What was scanned since the last cut. */
    this.held = ''
    /** What was not scanned yet. */
    this.fresh = ''
    /** Parts of that may have NUL in them. */
    this.unchecked = false
    /** Nothing but white space in either. */
    this.blank = true
  }

  /**
   * Takes a chunk.
   * @param {string} chunk
   * @returns {string[] | undefined} the messages it completes
   */
  push(chunk) {
    // Of many small chunks it is cheaper to look at the whole than at each; of large ones the whole may be needed by nobody.
    if (chunk.length > SMALL) this.fresh += withoutNul(chunk)
    else {
      this.fresh += chunk
      this.unchecked = true
    }
    if (chunk.includes('}')) return this.cut()
    if (this.blank && !isBlank(chunk)) this.blank = false
    return undefined
  }

  /** What was not scanned yet, without NUL. */
  checked() {
    if (!this.unchecked) return this.fresh
    this.unchecked = false
    return withoutNul(this.fresh)
  }

  /** The messages in what was not scanned yet. */
  cut() {
    const fresh = this.checked()
    this.fresh = ''
    /** @type {string[]} */
    const messages = []
    for (let at = 0; at < fresh.length; ) at += this.scan(fresh, at, messages)
    // Where nothing was cut off, the brace is still held.
    this.blank = messages.length > 0 && this.held.trim() === ''
    return messages
  }

  /**
   * Scans a piece of a text and gives how much of it that was.
   * @param {string} text @param {number} at @param {string[]} messages
   */
  scan(text, at, messages) {
    let end = at + PIECE
    // A line feed right behind a message goes with it only if it is seen together with it.
    if (end < text.length && text.charCodeAt(end) === LINE_FEED) end += 1
    const piece = at === 0 && end >= text.length ? text : text.slice(at, end)
    this.scanner ??= this.native.scanner()
    const count = this.native.scan(this.scanner, piece, piece.length, places)
    const taken = places[0]
    const cut = places[1]
    const { held } = this
    const before = held.length
    for (let i = 2; i < 2 + 2 * count; i += 2) {
      const from = places[i] - before
      const to = places[i + 1] - before
      if (from >= 0) messages.push(piece.slice(from, to))
      else if (to > 0) messages.push(held.slice(places[i]) + piece.slice(0, to))
      else messages.push(held.slice(places[i], places[i + 1]))
    }
    const seen = taken === piece.length ? piece : piece.slice(0, taken)
    // A cut lies behind a brace of this piece.
    this.held = cut === 0 ? held + seen : seen.slice(cut - before)
    return taken
  }

  /** What is left at the end, unless it is blank. @returns {string | undefined} */
  finish() {
    const { blank } = this
    const rest = blank ? '' : this.held + this.checked()
    this.held = this.fresh = ''
    this.scanner = undefined
    return blank ? undefined : rest
  }
}

module.exports = { Messages }
