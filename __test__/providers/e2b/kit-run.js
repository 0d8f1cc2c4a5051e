'use strict'

/**
 * What applications do with a `VibeKit` over E2B, and what they see, for one pair of an SDK and a provider, in a process of its own
 * (the published SDK loads its agents in a way that Jest cannot): `node kit-run.js <pair> <URL of the double>`. Prints one line of JSON.
 */

const { detour } = require('../../../testing/e2b-detour')

const [, , pair, url] = process.argv
const KEY = `e2b_${'0123456789abcdef'.repeat(2)}`
const AGENT = { type: 'claude', provider: 'anthropic', apiKey: 'sk-test', model: 'claude-sonnet-4-20250514' }

const published = () => {
  detour(url)
  return require('@vibe-kit/e2b').createE2BProvider({ apiKey: KEY })
}

/** @type {Record<string, () => any>} */
const PAIRS = {
  'upstream over upstream': () => new (require('@vibe-kit/sdk').VibeKit)().withAgent(AGENT).withSandbox(published()),
  'ours over upstream': () => new (require('vibekit-native').VibeKit)().withAgent(AGENT).withSandbox(published()),
  'ours over ours': () => {
    const { VibeKit, createE2BProvider } = require('vibekit-native')
    return new VibeKit().withAgent(AGENT).withSandbox(createE2BProvider({ apiKey: KEY, apiUrl: url, sandboxUrl: url }))
  },
  environment: () => {
    const { VibeKit } = require('vibekit-native')
    return new VibeKit({ agent: { type: 'claude', model: { apiKey: 'sk-test' } }, environment: { e2b: { apiKey: KEY, apiUrl: url, sandboxUrl: url } } })
  },
}

/** Asks the double. */
const tell = async (what, body = {}) => (await fetch(`${url}/double/${what}`, { method: 'POST', body: JSON.stringify(body) })).json()

/** An object, and what it prints. */
function open() {
  const kit = PAIRS[pair]()
  const said = []
  kit.on('stdout', (text) => said.push(text))
  return { kit, said }
}

/** How a promise settles. */
const outcome = (promise) => promise.then(({ exitCode, stdout, stderr }) => ({ exitCode, stdout, stderr }), (error) => ({ rejected: error.message }))

const SCENARIOS = {
  async command() {
    const { kit, said } = open()
    const result = await outcome(kit.executeCommand('echo "{\\"a\\":\\"$PWD\\"}"; echo kept >file'))
    const kept = await outcome(kit.executeCommand('cat file'))
    const sandboxes = (await tell('leftovers')).length
    await kit.kill()
    return { result, kept, sandboxes, heard: said.some((text) => text.includes('{"a":"/vibe0"}')) }
  },

  async failure() {
    const { kit } = open()
    const result = await outcome(kit.executeCommand('echo why >&2; exit 3'))
    await kit.kill()
    return { result }
  },

  async session() {
    const { kit } = open()
    await kit.executeCommand('echo kept >file')
    const id = await kit.getSession()
    const { kit: other } = open()
    other.withSession(id)
    const kept = await outcome(other.executeCommand('cat file'))
    const sandboxes = (await tell('leftovers')).length
    await other.kill()
    return { id, kept, sandboxes }
  },

  async pause() {
    const { kit } = open()
    await kit.executeCommand('echo kept >file')
    const id = await kit.getSession()
    const host = await kit.getHost(3000)
    await kit.pause()
    const [{ paused }] = await tell('sandboxes')
    await kit.resume()
    const [{ paused: still }] = await tell('sandboxes')
    const kept = await outcome(kit.executeCommand('cat file'))
    await kit.kill()
    return { id, host, paused, still, kept }
  },

  async stream() {
    const { kit } = open()
    const first = new Promise((resolve) => kit.on('stdout', (text) => text.includes('"n":1') && resolve(undefined)))
    const run = kit.executeCommand('echo \'{"n":1}\'; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo \'{"n":2}\'')
    await first
    await kit.executeCommand('touch /tmp/go')
    const result = await outcome(run)
    await kit.kill()
    return { result }
  },

  async agent() {
    const { kit, said } = open()
    const result = await outcome(kit.generateCode({ prompt: 'Say hello', mode: 'code' }))
    await kit.kill()
    return { result, heard: said.some((text) => text.includes('"result":"Done."')) }
  },
}

async function main() {
  // Both SDKs have something to say there.
  for (const method of ['log', 'warn']) console[method] = () => {}
  const told = {}
  for (const [name, observe] of Object.entries(SCENARIOS)) told[name] = { ...(await observe()), left: await tell('leftovers') }
  process.stdout.write(JSON.stringify(told))
}

main()
