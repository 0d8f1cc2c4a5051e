'use strict'

/** What agents print, made up: the same for every subject and every run. ASCII unless said otherwise. */

/** Small deterministic generator (mulberry32). @param {number} seed @returns {() => number} from 0 to 1 */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const WORDS =
  'the test fails because parser returns early when input is empty so fix checks length first run npm build again'.split(' ')
/** Things that make a scanner of braces and quotes think. */
const CODE = ['if (a) { return "x" }', '{"key": [1, 2]}', 'C:\\temp\\x', 'say "hi"\n', '\tconst a = { b: {} }\n', '${value}']
const SYMBOLS = ['✓ passed', '— done', '│ table │', '→ next', '日本語', '🙂']

/** @param {() => number} next @param {number} length @param {readonly string[]} spice */
function prose(next, length, spice) {
  let text = ''
  while (text.length < length) {
    text += next() < 0.08 ? spice[Math.floor(next() * spice.length)] : WORDS[Math.floor(next() * WORDS.length)]
    text += ' '
  }
  return text.slice(0, length)
}

/** One event of exactly `size` characters, its line feed included. @param {number} id @param {number} size */
function event(id, size) {
  const head = `{"type":"item.completed","item":{"id":"item_${id}","type":"agent_message","text":"`
  const tail = '"}}\n'
  return head + 'All tests pass now. '.repeat(Math.ceil(size / 20)).slice(0, size - head.length - tail.length) + tail
}

/** Lines of 200 characters, one event each. @param {number} bytes */
function events(bytes) {
  const lines = []
  for (let i = 0; i < bytes / 200; i++) lines.push(event(i, 200))
  return lines.join('')
}

/**
 * What an agent prints in a session: mostly short events, some of 200 KB, code and quotes inside.
 * @param {number} bytes @param {{ symbols?: boolean }} [options] `symbols`: every eighth event is not ASCII
 */
function session(bytes, { symbols = false } = {}) {
  const next = random(42)
  const lines = []
  for (let size = 0, id = 0; size < bytes; id++) {
    const kind = next()
    const length =
      kind < 0.7 ? 200 + next() * 600 : kind < 0.9 ? 1e3 + next() * 7e3 : kind < 0.98 ? 8e3 + next() * 32e3 : 100e3 + next() * 100e3
    const spice = symbols && id % 8 === 0 ? SYMBOLS : CODE
    const text = prose(next, Math.floor(length), spice)
    const line = `${JSON.stringify({ type: 'item.completed', item: { id: `item_${id}`, type: 'command_execution', text, exit_code: 0 } })}\n`
    lines.push(line)
    size += line.length
  }
  return lines.join('')
}

/** Lines of a build log, without a brace. @param {number} bytes */
function log(bytes) {
  const next = random(7)
  const block = []
  for (let i = 0; i < 1000; i++) block.push(`[12:00:${String(i % 60).padStart(2, '0')}] ${prose(next, 40 + Math.floor(next() * 80), WORDS)}\n`)
  const text = block.join('')
  return text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes)
}

/** One JSON object that holds many. @param {number} bytes */
function object(bytes) {
  const next = random(3)
  const files = []
  for (let size = 0, id = 0; size < bytes; id++) {
    const file = { path: `src/file_${id}.ts`, status: { changed: true, hunks: [{ from: id, to: id + 9 }] }, diff: prose(next, 400, CODE) }
    files.push(file)
    size += JSON.stringify(file).length + 1
  }
  return `${JSON.stringify({ type: 'result', files })}\n`
}

/**
 * Cuts text as a pipe would: flat strings of their own, never inside a character.
 * @param {string} text @param {number | (() => number)} size in characters
 */
function chunks(text, size) {
  const parts = []
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + (typeof size === 'number' ? size : size()))
    const unit = text.charCodeAt(end - 1)
    if (unit >= 0xd800 && unit < 0xdc00) end += 1
    // A slice would keep the whole text alive and be cheaper to read than what a provider hands over.
    parts.push(Buffer.from(text.slice(at, end)).toString())
    at = end
  }
  return parts
}

/** Sizes from 1 to 37. */
function tiny() {
  const next = random(11)
  return () => 1 + Math.floor(next() * 37)
}

module.exports = { events, event, session, log, object, chunks, tiny }
