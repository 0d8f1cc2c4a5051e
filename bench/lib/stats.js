'use strict'

/** @param {readonly number[]} values @param {number} share from 0 to 1 */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = Math.floor(at)
  const high = Math.ceil(at)
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low)
}

/** @param {readonly number[]} values */
const median = (values) => quantile(values, 0.5)

/**
 * How cost grows with size: the slope between two points on a log-log scale. 1 is linear, 2 quadratic.
 * @param {number} smallSize @param {number} smallCost @param {number} largeSize @param {number} largeCost
 */
const exponent = (smallSize, smallCost, largeSize, largeCost) =>
  Math.log(largeCost / smallCost) / Math.log(largeSize / smallSize)

/**
 * Medians of something done again and again.
 * @param {number} times @param {() => Promise<unknown>} work
 * @returns {Promise<number[]>} milliseconds of each
 */
async function timed(times, work) {
  const values = []
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    await work()
    values.push(performance.now() - start)
  }
  return values
}

module.exports = { quantile, median, exponent, timed }
