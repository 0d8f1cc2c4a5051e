'use strict'

/**
 * Does something with every item, four at once.
 * @template T
 * @param {readonly T[]} items @param {(item: T) => Promise<unknown>} work
 */
async function spread(items, work) {
  const queue = items.values()
  const lane = async () => {
    for (const item of queue) await work(item)
  }
  await Promise.all([lane(), lane(), lane(), lane()])
}

module.exports = { spread }
