'use strict'

/** What the tests of repositories share: objects over either kind of provider, and the doubles of the services. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { VibeKit, createLocalProvider } = require('vibekit-native')
const { startGitServer } = require('../../testing/git-server')
const { createGithub } = require('../../testing/github-server')
const { createModel, stubFetch } = require('../../testing/words-server')
const { shellProvider } = require('../../testing/shell-provider')

const TOKEN = 'ghp_0123456789canaryCANARYcanaryCANARY01'
const AGENT = { type: 'claude', provider: 'anthropic', apiKey: 'sk-ant-key-of-the-model', model: 'claude-test' }

const reasonOf = (promise) => promise.then(() => { throw new Error('it resolved') }, (reason) => reason)

/** Everything a test needs, and how to get rid of it. */
async function world({ repositories = { 'owner/repo': { 'README.md': 'hello\n' } }, labels, private: secret } = {}) {
  const server = await startGitServer({ token: TOKEN, repositories, private: secret })
  const { host } = new URL(server.url)
  const github = createGithub({ token: TOKEN, labels, prefix: '/api/v3' })
  const model = createModel()
  const former = globalThis.fetch
  const fetch = stubFetch({ [host]: github, 'api.anthropic.com': model })
  globalThis.fetch = fetch
  process.env.GITHUB_SERVER_URL = server.url
  return {
    server, github, model, fetch,
    async close() {
      globalThis.fetch = former
      delete process.env.GITHUB_SERVER_URL
      await server.close()
    },
  }
}

/** A folder that goes with the test. */
function folder() {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-work-'))
  return { path: made, clean: () => fs.rmSync(made, { recursive: true, force: true }) }
}

module.exports = { VibeKit, createLocalProvider, shellProvider, TOKEN, AGENT, reasonOf, world, folder }
