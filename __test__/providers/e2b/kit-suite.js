'use strict'

/** A `VibeKit` over E2B, whoever's object it is and whoever's provider: what an application sees. */

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { installStub } = require('../../../testing/stub-agent')
const { startDouble } = require('../support/double')

const kept = { exitCode: 0, stdout: 'kept\n', stderr: '' }

/**
 * @param {string} pair one of `kit-run.js`
 * @param {{ domain: string, answers?: boolean }} expected `answers`: a code other than 0 is an answer
 */
function kitSuite(pair, { domain, answers = false }) {
  describe(pair, () => {
    const stubs = path.join(__dirname, '../../../target', `stubs-e2b-${process.pid}`)
    let told

    beforeAll(async () => {
      installStub(stubs, ['claude'])
      const double = await startDouble('e2b', { PATH: `${stubs}:${process.env.PATH}` })
      const { stdout } = await promisify(execFile)(process.execPath, [path.join(__dirname, 'kit-run.js'), pair, double.url], { timeout: 120_000 })
      told = JSON.parse(stdout)
    }, 600_000)

    afterAll(() => fs.rmSync(stubs, { recursive: true, force: true }))

    test('runs a command, tells what it prints, and keeps the sandbox for the next', () => {
      const result = { exitCode: 0, stdout: '{"a":"/vibe0"}\n', stderr: '' }
      expect(told.command).toEqual({ result, kept, sandboxes: 1, heard: true, left: [] })
    })

    test('says how a command failed', () => {
      const result = answers ? { exitCode: 3, stdout: '', stderr: 'why\n' } : { rejected: 'Failed to execute command: exit status 3' }
      expect(told.failure).toEqual({ result, left: [] })
    })

    test('goes on with a session in another object', () => {
      expect(told.session).toEqual({ id: expect.stringMatching(/^i[0-9a-z]+/), kept, sandboxes: 1, left: [] })
    })

    test('pauses, resumes and names a port', () => {
      const { id } = told.pause
      expect(told.pause).toEqual({ id, host: `3000-${id}.${domain}`, paused: true, still: false, kept, left: [] })
    })

    test('streams while the command runs', () => {
      expect(told.stream).toEqual({ result: { exitCode: 0, stdout: '{"n":1}\n{"n":2}\n', stderr: '' }, left: [] })
    })

    test('lets the agent work', () => {
      expect(told.agent).toMatchObject({ result: { exitCode: 0 }, heard: true, left: [] })
    })
  })
}

module.exports = { kitSuite }
