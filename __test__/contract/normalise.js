'use strict'

/**
 * What differs everywhere on purpose:
 *  - D5: the `end` message is valid JSON (upstream does not escape the result it embeds);
 *  - D20: `mkdir` is run without a callback (upstream prints what it says to the console).
 *
 * @param {unknown} observed
 * @param {{ ends?: boolean }} [options] `ends: false` leaves `end` messages as they are
 */
function normalise(observed, { ends = true } = {}) {
  return JSON.parse(JSON.stringify(observed), (_key, value) => {
    if (typeof value === 'string' && ends && value.startsWith('{"type": "end"')) return end(value)
    if (Array.isArray(value) && value[0] === 'run' && String(value[1]).startsWith('mkdir ') && Array.isArray(value[2])) {
      return [value[0], value[1], value[2].filter(([key]) => key !== 'onStdout')]
    }
    return value
  })
}

/** The `end` message in a form of its own, whichever it had. */
function end(text) {
  const [, id, output] = /^\{"type": "end", "sandbox_id": (.*?), "output": "(.*)"\}$/s.exec(text) ?? []
  if (output === undefined) return text
  try {
    return { end: id, output: JSON.parse(`"${output}"`) }
  } catch {
    return { end: id, output }
  }
}

module.exports = { normalise }
