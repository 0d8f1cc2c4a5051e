'use strict'

/** Over JavaScript providers this package does what the TypeScript SDK does, except where the differences below say so. */

const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { VibeKit } = require('vibekit-native')
const { SCENARIOS } = require('./scenarios')

const upstream = JSON.parse(execFileSync(process.execPath, [path.join(__dirname, 'oracle.js')], { encoding: 'utf8' }))

beforeAll(() => {
  process.env.VIBEKIT_NO_DEPRECATION = '1'
})

/**
 * What differs on purpose:
 *  - `end` is valid JSON (upstream does not escape the result it embeds);
 *  - after a failure the `end` message is missing here as there, but what was still buffered is delivered;
 *  - `mkdir` is run without a callback (upstream prints what it says to the console).
 */
function normalise(observed) {
  return JSON.parse(JSON.stringify(observed), (_key, value) => {
    if (!Array.isArray(value)) return value
    if (value[0] === 'stdout' && typeof value[1] === 'string' && value[1].startsWith('{"type": "end"')) return ['stdout', end(value[1])]
    if (value[0] === 'run' && String(value[1]).startsWith('mkdir ')) {
      return [value[0], value[1], value[2].filter(([key]) => key !== 'onStdout')]
    }
    return value
  })
}

/** The `end` message in upstream's form, whichever it has. */
function end(text) {
  const [, id, output] = /^\{"type": "end", "sandbox_id": (.*?), "output": "(.*)"\}$/s.exec(text)
  try {
    return { id, output: JSON.parse(`"${output}"`) }
  } catch {
    return { id, output }
  }
}

test.each(Object.entries(SCENARIOS))('%s', async (name, scenario) => {
  expect(normalise(await scenario(VibeKit))).toEqual(normalise(upstream[name]))
})

test('nothing is compared that is not there', () => {
  expect(Object.keys(upstream)).toEqual(Object.keys(SCENARIOS))
})
