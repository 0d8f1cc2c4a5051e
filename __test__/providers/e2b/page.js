'use strict'

/**
 * The examples of the documentation's page on sessions, as they are written there, in one program. What they need comes from the
 * environment: `OPENAI_API_KEY`, `E2B_API_KEY`, and where the service is, of which the examples know nothing. Prints what they got as
 * one line of JSON.
 */

const { VibeKit } = require('vibekit-native')

const config = {
  agent: {
    type: 'codex',
    model: {
      apiKey: process.env.OPENAI_API_KEY,
    },
    mode: 'code',
  },
  environment: {
    e2b: {
      apiKey: process.env.E2B_API_KEY,
    },
  },
}

async function main() {
  const vibeKit = new VibeKit(config)

  const before = await vibeKit.getSession()
  const result = await vibeKit.generateCode('Create a simple web app')
  const sessionId = await vibeKit.getSession()

  // Somewhere else, later.
  const later = new VibeKit(config)
  await later.setSession(sessionId)
  const current = await later.getSession()
  const more = await later.generateCode('Add authentication to the app')
  const same = await later.getSession()

  const host = await later.getHost(3000)
  await later.kill()
  const after = await later.getSession()
  process.stdout.write(`${JSON.stringify({ before, result, sessionId, current, more, same, host, after })}\n`)
}

main()
