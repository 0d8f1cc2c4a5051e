'use strict'

/** A turn of a real agent in the embedded sandbox, against the scripted model server. */

const { VibeKit } = require('vibekit-native')
const { installAgents } = require('../../testing/agents')
const { startModelServer } = require('../../testing/model-server')

/** How each agent is configured to talk to the server. */
const AGENTS = {
  claude: { model: 'claude-sonnet-4-5', path: '' },
  codex: { model: 'gpt-6.1-sol', path: '/v1' },
  gemini: { model: 'gemini-2.5-pro', path: '' },
  grok: { model: 'scripted-model', path: '/v1' },
  opencode: { model: 'gpt-4.1', path: '/v1' },
}

/** Objects and servers to end when the test is over, however it ends. */
const open = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** Makes the agent's program the first of its name on the path, which is where sandboxes look for it. */
async function useAgent(name) {
  const { bin } = await installAgents([name], { progress: (line) => process.stderr.write(`${line}\n`) })
  if (!process.env.PATH.startsWith(`${bin}:`)) process.env.PATH = `${bin}:${process.env.PATH}`
}

/** A model server with a script. */
async function model(options) {
  const server = await startModelServer({ models: ['scripted-model'], ...options })
  open.push(() => server.close())
  return server
}

/** The configuration of an object whose agent talks to the server and to nobody else. */
function configFor(name, server, { model: other, ...more } = {}) {
  const { model: known, path } = AGENTS[name]
  return {
    agent: { type: name, model: { apiKey: 'a-key', name: other ?? known, baseUrl: server.url + path } },
    environment: { local: { network: { allow: [`127.0.0.1:${server.port}`] } } },
    ...more,
  }
}

/**
 * An object whose agent talks to the server and to nobody else, and all its events.
 * @returns {{ kit: import('vibekit-native').VibeKit, events: any[] }}
 */
function kitFor(name, server, { model: other, ...more } = {}) {
  const kit = new VibeKit(configFor(name, server, { model: other, ...more }))
  const events = []
  kit.on('event', (event) => events.push(event))
  open.push(() => kit.kill().catch(() => {}))
  return { kit, events }
}

/** The one event of a kind. */
function only(events, type) {
  const found = events.filter((event) => event.type === type)
  expect(found).toHaveLength(1)
  return found[0]
}

/** What a promise rejects with. */
const reasonOf = (promise) =>
  promise.then(
    (value) => {
      throw new Error(`it resolved with ${JSON.stringify(value)}`)
    },
    (reason) => reason,
  )

module.exports = { AGENTS, useAgent, model, configFor, kitFor, only, reasonOf }
