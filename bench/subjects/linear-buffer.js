'use strict'

const BACKSLASH = 0x5c
const QUOTE = 0x22
const OPEN = 0x7b
const CLOSE = 0x7d
const LF = 0x0a

/**
 * Cuts text into messages by the rules of the TypeScript SDK's buffer, looking at every character once: where the
 * scan stopped is kept, and what is not delivered yet is a rope that is only flattened when a message is complete.
 */
class LinearBuffer {
  /** @param {(message: string) => void} deliver */
  constructor(deliver) {
    this.deliver = deliver
    this.held = ''
    this.depth = 0
    this.inString = false
    this.escaped = false
  }

  /** @param {string} chunk */
  append(chunk) {
    const text = chunk.includes('\0') ? chunk.replaceAll('\0', '') : chunk
    let { depth, inString, escaped } = this
    let cut = 0
    for (let at = 0; at < text.length; at++) {
      if (escaped) {
        escaped = false
        continue
      }
      const unit = text.charCodeAt(at)
      if (unit === BACKSLASH) escaped = true
      else if (unit === QUOTE) inString = !inString
      else if (inString) continue
      else if (unit === OPEN) depth += 1
      else if (unit === CLOSE && --depth === 0) {
        this.offer(this.held + text.slice(cut, at + 1))
        this.held = ''
        if (text.charCodeAt(at + 1) === LF) at += 1
        cut = at + 1
      }
    }
    this.held += cut === 0 ? text : text.slice(cut)
    this.depth = depth
    this.inString = inString
    this.escaped = escaped
  }

  /** @param {string} candidate */
  offer(candidate) {
    try {
      JSON.parse(candidate)
      this.deliver(candidate)
    } catch {
      // As there: what is not JSON is dropped, and so is what a listener throws.
    }
  }

  flush() {
    if (this.held.trim()) this.deliver(this.held)
    this.held = ''
  }
}

module.exports = { LinearBuffer }
