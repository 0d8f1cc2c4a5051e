'use strict'

/**
 * Another process that takes up a session and goes on with the conversation: `node continue.js <options of E2B as JSON> <agent>
 * <session id> <prompt>`. Prints the events as one line of JSON.
 */

const { VibeKit } = require('vibekit-native')

async function main([e2b, type, session, prompt]) {
  const kit = new VibeKit({ agent: { type, model: { apiKey: 'a-secret-key' } }, environment: { e2b: JSON.parse(e2b) }, secrets: { STUB_RECORD: '/vibe0/record.json' } })
  const events = []
  kit.on('event', (event) => events.push(event))
  await kit.setSession(session)
  await kit.generateCode({ prompt })
  const { stdout } = await kit.executeCommand('cat kept record.json')
  process.stdout.write(JSON.stringify({ session: await kit.getSession(), events, stdout }))
  await kit[Symbol.asyncDispose]()
}

main(process.argv.slice(2))
