'use strict'

/**
 * Over JavaScript providers this package does what the TypeScript SDK does: both are put through the same scenarios, each in a
 * process of its own, and everything that can be observed is compared. Where they differ on purpose the scenario has the number
 * of the deviation (docs/migration.md) and checks ours.
 */

const path = require('node:path')
const { succeed } = require('../support/command')
const { all } = require('./scenarios')
const { normalise } = require('./normalise')

let theirs
let ours

beforeAll(async () => {
  const observe = async (name) => {
    const { stdout } = await succeed(process.execPath, [path.join(__dirname, 'run.js'), name], { cwd: path.join(__dirname, '../..') })
    return JSON.parse(stdout)
  }
  ;[theirs, ours] = await Promise.all([observe('@vibe-kit/sdk'), observe('vibekit-native')])
}, 300_000)

const same = all.filter(({ deviation }) => !deviation)
const different = all.filter(({ deviation }) => deviation)

describe('the same', () => {
  test.each(same.map(({ name }) => name))('%s', (name) => {
    expect(ours[name]?.broken).toBeUndefined()
    expect(normalise(ours[name])).toEqual(normalise(theirs[name]))
  })
})

describe('different on purpose', () => {
  test.each(different.map((scenario) => [scenario.name, scenario]))('%s', (name, { ours: check }) => {
    expect(ours[name]?.broken).toBeUndefined()
    // A deviation that is none any more is to be taken out of the register.
    expect(normalise(ours[name], { ends: false })).not.toEqual(normalise(theirs[name], { ends: false }))
    check(ours[name], theirs[name], expect)
  })
})

test('there are enough of them, and no name twice', () => {
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  expect(all.length).toBeGreaterThanOrEqual(250)
})
