'use strict'

/** `checkProvider()` over providers that do what they should, and over some that do not. */

const { createLocalProvider } = require('vibekit-native')
const { checkProvider } = require('vibekit-native/testing')
const { processProvider } = require('./process-provider')

/** What failed, by name. */
const failed = ({ failures }) => failures.map(({ check }) => check)
/** Checks and outcomes, for a readable difference. */
const outcomes = ({ results }) => results.map(({ check, outcome, why }) => [check, outcome, why].join(' ').trim())

test('a provider on child processes passes', async () => {
  const provider = processProvider()
  const report = await checkProvider(provider, { leftovers: () => [...provider.sandboxes.keys()] })
  expect(outcomes(report)).toEqual(report.results.map(({ check }) => `${check} passed`))
  expect(report.results.length).toBeGreaterThan(10)
}, 60_000)

test('the embedded sandbox passes', async () => {
  const report = await checkProvider(createLocalProvider(), { another: () => createLocalProvider() })
  expect(outcomes(report)).toEqual(report.results.map(({ check }) => `${check} passed`))
}, 60_000)

test('what is declared missing is not tried', async () => {
  const report = await checkProvider(processProvider(), { capabilities: { resume: false, host: false } })
  expect(report.results.filter(({ outcome }) => outcome === 'unsupported')).toEqual([
    expect.objectContaining({ check: 'host', why: 'declared: no host' }),
    expect.objectContaining({ check: 'resume', why: 'declared: no resume' }),
  ])
}, 60_000)

test.each([
  [{ zero: true }, ['exit-code', 'commands-at-once', 'live-output']],
  [{ late: true }, ['live-output']],
  [{ cut: true }, ['cut-characters']],
  [{ mixed: true }, ['streams']],
  [{ tree: true }, ['time-limit']],
])('a provider with the fault %j fails where it should', async (fault, expected) => {
  const report = await checkProvider(processProvider(fault), { patienceMs: 3000 })
  const found = failed(report)
  expect(expected.some((check) => found.includes(check))).toBe(true)
  expect(found).toContain(expected[0])
}, 60_000)

test('what is left behind fails each check that left it', async () => {
  const provider = processProvider({ leak: true })
  const report = await checkProvider(provider, { leftovers: () => [...provider.sandboxes.keys()], patienceMs: 1000 })
  expect(report.failures.length).toBe(report.results.length)
  expect(report.failures[0].why).toMatch(/left behind: process-1/)
}, 60_000)

test('an argument that is no provider is refused', async () => {
  await expect(checkProvider(undefined)).rejects.toMatchObject({ code: 'INVALID_TYPE', field: 'provider' })
})
