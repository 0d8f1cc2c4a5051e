'use strict'

/** Stubs in place of the agents' programs. */

const fs = require('node:fs')
const path = require('node:path')
const { agentsDirectory } = require('../../testing/agents')
const { installStub } = require('../../testing/stub-agent')

const AGENTS = ['claude', 'codex', 'gemini', 'grok', 'opencode']

/** Puts stubs first on the path, which is where sandboxes look for agents, for the tests of a file. */
function useStubs() {
  const place = { folder: '' }
  let outer
  beforeAll(() => {
    // Not below /tmp, of which every sandbox has its own.
    fs.mkdirSync(agentsDirectory(), { recursive: true })
    place.folder = fs.mkdtempSync(path.join(agentsDirectory(), 'stubs-'))
    installStub(path.join(place.folder, 'bin'), AGENTS)
    outer = process.env.PATH
    process.env.PATH = `${path.join(place.folder, 'bin')}:${outer}`
  })
  afterAll(() => {
    process.env.PATH = outer
    fs.rmSync(place.folder, { recursive: true, force: true })
  })
  return place
}

module.exports = { AGENTS, useStubs }
