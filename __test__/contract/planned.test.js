'use strict'

/** Second commands of an object are begun by a plan of the machine's. Whatever happens while one runs, the machine takes it over. */

const path = require('node:path')
const { VibeKit } = require('vibekit-native')
const { succeed } = require('../support/command')
const { recordingProvider, recordEvents } = require('../support/provider')

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-test' }
const success = { exitCode: 0, stdout: '', stderr: '' }
const reasonOf = (promise) => promise.then(() => { throw new Error('it resolved') }, (reason) => reason)
const turn = () => new Promise(setImmediate)

/** An object whose second command does not get past a step. */
async function held(step) {
  let holding = false
  let release
  const provider = recordingProvider({
    run: (line) => (holding && line.startsWith('mkdir') === (step === 'mkdir') ? new Promise((resolve) => (release = () => resolve(success))) : success),
  })
  const kit = new VibeKit().withAgent(AGENT).withSandbox(provider)
  await kit.executeCommand('first')
  const events = recordEvents(kit)
  holding = true
  const second = kit.executeCommand('second')
  return { kit, provider, events, second, release: () => ((holding = false), release()) }
}

describe.each(['mkdir', 'command'])('while its %s runs', (step) => {
  describe.each([['in the same turn', false], ['a turn later', true]])('%s', (_when, later) => {
    test('kill() ends it', async () => {
      const { kit, second, release, events } = await held(step)
      const ended = reasonOf(second)
      if (later) await turn()
      await kit.kill()
      expect(await ended).toMatchObject({ code: 'SANDBOX_KILLED' })
      const told = events.length
      release()
      await turn()
      expect(events).toHaveLength(told)
      expect(await kit.getSession()).toBeNull()
    })

    test('dispose() ends it', async () => {
      const { kit, second, release } = await held(step)
      const ended = reasonOf(second)
      if (later) await turn()
      await kit.dispose()
      expect(await ended).toMatchObject({ code: 'DISPOSED' })
      release()
    })

    test('setSession() lets it finish where it is', async () => {
      const { kit, provider, second, release } = await held(step)
      if (later) await turn()
      await kit.setSession('other')
      await turn()
      release()
      expect(await second).toMatchObject({ sandboxId: 'sbx-1', exitCode: 0 })
      await kit.executeCommand('third')
      expect(provider.calls).toContainEqual(['resume', 'other'])
    })
  })
})

test('it is under the limit of the machine from the next turn on, and leaves no timer behind', async () => {
  // In a process of its own: Jest has timers too.
  const script = `
    const { VibeKit } = require('vibekit-native')
    const success = { exitCode: 0, stdout: '', stderr: '' }
    const turn = () => new Promise(setImmediate)
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    let gate
    const sandbox = { sandboxId: 's', commands: { run: (line) => (line.endsWith('held') ? new Promise((resolve) => (gate = resolve)) : success) } }
    async function main() {
      const kit = new VibeKit().withAgent({ type: 'codex', apiKey: 'k' }).withSandbox({ create: () => sandbox })
      await kit.executeCommand('first')
      await turn()
      const told = [timers()]
      const held = kit.executeCommand('held')
      await turn()
      await turn()
      told.push(timers())
      gate(success)
      await held
      await turn()
      told.push(timers())
      process.stdout.write(JSON.stringify(told))
    }
    main()`
  const { stdout } = await succeed(process.execPath, ['--eval', script], { cwd: path.join(__dirname, '../..') })
  expect(JSON.parse(stdout)).toEqual([0, 1, 0])
})

test('what follows the plan is what the machine would have done', async () => {
  const provider = recordingProvider()
  const kit = new VibeKit().withAgent(AGENT).withSandbox(provider)
  const events = recordEvents(kit)
  const results = []
  const parts = []
  // A signal keeps a command off the plan.
  for (const options of [undefined, undefined, { signal: new AbortController().signal }]) {
    const from = [events.length, provider.calls.length]
    results.push(await kit.executeCommand('same', options))
    parts.push([events.slice(from[0]), provider.calls.slice(from[1]).filter(([name]) => name === 'run')])
  }
  expect(results[1]).toEqual(results[0])
  expect(results[2]).toEqual(results[0])
  expect(parts[1]).toEqual(parts[0])
  expect(parts[2]).toEqual(parts[0])
})
