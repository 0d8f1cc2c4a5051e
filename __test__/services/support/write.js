'use strict'

/** Words to write scenarios with. */

/** How docker is asked for names. */
const FORMAT = '{{.Repository}}:{{.Tag}}'

/**
 * A call as the programs see it.
 * @param {string} line words without spaces
 * @param {...string} rest further arguments
 * @returns {import('./fakes').Call}
 */
const call = (line, ...rest) => ({ argv: [...line.split(' '), ...rest] })

/**
 * What something comes to for each of several values, one after the other.
 * @template T
 * @param {T[]} values
 * @param {(value: T) => unknown} work
 */
async function outcomes(values, work) {
  /** @type {Array<[T, unknown]>} */
  const all = []
  for (const value of values) {
    try {
      all.push([value, (await work(value)) ?? 'done'])
    } catch (error) {
      all.push([value, `failed: ${/** @type {Error} */ (error).message}`])
    }
  }
  return all
}

module.exports = { FORMAT, call, outcomes }
