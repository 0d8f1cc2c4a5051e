'use strict'

/** What runs against the real service for those who have a key, against the double: that it would find something there. */

const { execFile } = require('node:child_process')
const path = require('node:path')
const { triple } = require('../../../lib/loader')
const { startDouble } = require('../support/double')
const { KEY } = require('./clients')

const root = path.join(__dirname, '../../..')

/** The end of `npm run test:e2b-live`: its code and what it said. */
const live = (env) =>
  new Promise((resolve) => {
    const addon = path.join(root, `vibekit-native.${triple()}.node`)
    const options = { cwd: root, env: { ...process.env, VIBEKIT_NATIVE_PATH: process.env.VIBEKIT_NATIVE_PATH ?? addon, ...env }, timeout: 120_000 }
    execFile(process.execPath, ['scripts/live.js', 'e2b'], options, (error, stdout) => resolve({ code: error ? error.code : 0, stdout }))
  })

test('passes against the double', async () => {
  const double = await startDouble('e2b')
  const { code, stdout } = await live({ E2B_API_KEY: KEY, E2B_API_URL: double.url, E2B_SANDBOX_URL: double.url })
  expect({ code, failed: stdout.match(/^FAILED.*/gm) }).toEqual({ code: 0, failed: null })
  expect(stdout).toMatch(/^\d\d passed, 0 failed$/m)
  expect(await double.leftovers()).toEqual([])
}, 600_000)

test('fails where the service does not do what it should, and leaves nothing there', async () => {
  const double = await startDouble('e2b')
  const body = JSON.stringify({ code: 500, message: 'no' })
  await double.tell('answer', { method: 'POST', path: '/pause', times: 9, status: 500, headers: { 'content-type': 'application/json' }, body })
  const { code, stdout } = await live({ E2B_API_KEY: KEY, E2B_API_URL: double.url, E2B_SANDBOX_URL: double.url })
  expect(code).toBe(1)
  expect(stdout).toMatch(/^FAILED {2}it pauses/m)
  expect(await double.leftovers()).toEqual([])
}, 600_000)

test('says that it was not run where there is no key', async () => {
  const { code, stdout } = await live({ E2B_API_KEY: '' })
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'NOT RUN: E2B_API_KEY not set. Nothing was shown about the real e2b.\n' })
})
