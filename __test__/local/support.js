'use strict'

const { VibeKit, createLocalProvider } = require('vibekit-native')

const AGENT = { type: 'codex', model: { apiKey: 'sk-test' } }

/** Objects and sandboxes to end when the test is over, however it ends. */
const open = []

afterEach(async () => {
  for (const one of open.splice(0)) await one.kill().catch(() => {})
})

/** An object over the embedded sandbox. */
function localKit(options = {}, more = {}) {
  const kit = new VibeKit({ agent: AGENT, environment: { local: options }, ...more })
  open.push(kit)
  return kit
}

/** A sandbox of its own. */
async function localSandbox(options) {
  const sandbox = await createLocalProvider(options).create()
  open.push(sandbox)
  return sandbox
}

/** What a promise rejects with. */
const reasonOf = (promise) =>
  promise.then(
    (value) => {
      throw new Error(`it resolved with ${JSON.stringify(value)}`)
    },
    (reason) => reason,
  )

/** Waits until something holds. */
async function until(condition, seconds = 10) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`it did not come about within ${seconds} s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

module.exports = { AGENT, localKit, localSandbox, reasonOf, until, open }
