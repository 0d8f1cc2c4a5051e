'use strict'

/** A real agent at E2B: the double, and the scripted model server. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { say, write } = require('../../../testing/model-server')
const { useAgent, model, kitFor, only } = require('../../agents/support')
const { startDouble } = require('../support/double')
const { KEY } = require('./clients')

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-e2b-agent-'))
let double

beforeAll(async () => {
  await useAgent('gemini')
  // Agents are kept in the home of whoever runs the tests, which a view of the machine would hide.
  double = await startDouble('e2b', {}, ['plain'])
}, 600_000)

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

test('Gemini CLI writes a file, tells what it does, and goes on with the conversation', async () => {
  const prompt = `It's "quoted" $HOME \`id\` $(id) \\ ! %s ✓ 日本 🎉\nsecond line\ttab`
  const server = await model({ script: [write('hello.txt', 'hello\n'), say('All done.'), say('As I said.')] })
  const environment = { e2b: { apiKey: KEY, apiUrl: double.url, sandboxUrl: double.url } }
  const { kit, events } = kitFor('gemini', server, { environment, workingDirectory: path.join(folder, 'work') })
  expect(await kit.generateCode({ prompt })).toMatchObject({ exitCode: 0 })
  expect((await kit.executeCommand('cat hello.txt')).stdout).toBe('hello\n')
  expect(server.turns[0]).toMatchObject({ prompt, credential: 'a-key' })
  expect(events[0].type).toBe('session_started')
  expect(only(events, 'file_change')).toMatchObject({ path: 'hello.txt' })
  expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'All done.' })
  expect(events.at(-1).usage.inputTokens).toBeGreaterThan(0)

  await kit.generateCode({ prompt: 'And what did you do?' })
  const told = server.turns.at(-1).parts.map((part) => part.text)
  expect(told.some((text) => text.endsWith(prompt))).toBe(true)
  expect(told).toContain('All done.')
  expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'As I said.' })
  await kit.kill()
  expect(await double.leftovers()).toEqual([])
}, 120_000)
