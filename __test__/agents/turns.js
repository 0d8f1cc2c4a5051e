'use strict'

/** What every agent must do, with its real program. */

const path = require('node:path')
const { say, write, run, fail, hang } = require('../../testing/model-server')
const { succeed } = require('../support/command')
const { useAgent, model, configFor, kitFor, only, reasonOf } = require('./support')

const PROMPT = `It's "quoted" $HOME \`id\` $(id) \\ ! %s ✓ 日本 🎉\nsecond line\ttab`

/** @param {string} name */
function turnsOf(name) {
  beforeAll(() => useAgent(name), 600_000)

  test('writes a file, tells what it does, and goes on with the conversation', async () => {
    const server = await model({ script: [write('hello.txt', 'hello\n'), say('All done.'), say('As I said.')] })
    const { kit, events } = kitFor(name, server)
    const result = await kit.generateCode({ prompt: PROMPT })
    expect(result).toMatchObject({ exitCode: 0 })
    expect((await kit.executeCommand('cat hello.txt')).stdout).toBe('hello\n')

    // The prompt arrived as it was, and the key where it belongs.
    expect(server.turns[0].prompt).toBe(PROMPT)
    expect(server.turns[0].credential).toBe('a-key')

    expect(events.map((event) => event.seq)).toEqual([...events.map((event) => event.seq)].sort((a, b) => a - b))
    expect(events[0].type).toBe('session_started')
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'All done.' })
    expect(only(events, 'file_change')).toMatchObject({ path: 'hello.txt' })
    expect(events.filter((event) => event.type === 'raw')).toEqual([])

    await kit.generateCode({ prompt: 'And what did you do?' })
    const again = server.turns.at(-1)
    expect(again.prompt.endsWith('And what did you do?')).toBe(true)
    const told = again.parts.map((part) => part.text)
    expect(told.some((text) => text.endsWith(PROMPT))).toBe(true)
    expect(told).toContain('All done.')
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'As I said.' })
  })

  test('goes on with the conversation in another process', async () => {
    const server = await model({ script: [say('It is forty-two.'), say('Forty-two, as I said.')] })
    const { kit, events } = kitFor(name, server)
    await kit.generateCode({ prompt: 'What is the answer?' })
    const sessionId = await kit.getSession()
    await kit.dispose()
    const script = `
      const { VibeKit } = require('vibekit-native')
      const kit = new VibeKit(JSON.parse(process.argv[1]))
      const events = []
      kit.on('event', (event) => events.push(event))
      kit.generateCode({ prompt: 'And what was it?' })
        .finally(() => kit.kill())
        .then(() => process.stdout.write(JSON.stringify(events)))`
    const config = JSON.stringify(configFor(name, server, { sessionId }))
    const { stdout } = await succeed(process.execPath, ['--eval', script, config], { cwd: path.join(__dirname, '../..'), env: process.env })
    const told = server.turns.at(-1)
    expect(told.prompt.endsWith('And what was it?')).toBe(true)
    expect(told.parts.map((part) => part.text)).toContain('It is forty-two.')
    const later = JSON.parse(stdout)
    expect(later.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'Forty-two, as I said.' })
    expect(later[0].seq).toBeGreaterThan(events.at(-1).seq)
  })

  test('takes a prompt that no argument could hold', async () => {
    const server = await model({ script: [say('Read.')] })
    const { kit, events } = kitFor(name, server)
    // Twice what Linux lets an argument have, and few tokens.
    const prompt = Array.from({ length: 4096 }, (_, n) => `${n} ${PROMPT.slice(0, 40)} ✓`).join('\n').slice(0, 256 << 10)
    expect(prompt.length).toBeGreaterThan(128 << 10)
    await kit.generateCode({ prompt })
    expect(server.turns[0].prompt).toBe(prompt)
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'Read.' })
  })

  test('changes nothing in ask mode', async () => {
    const server = await model({
      script: [write('evil.txt', 'x'), run('echo x > evil.txt'), run('echo x > keep.txt'), say('I may not.')],
    })
    const { kit, events } = kitFor(name, server)
    await kit.executeCommand('echo kept > keep.txt')
    await kit.generateCode({ prompt: 'What is in keep.txt?', mode: 'ask' })
    const { stdout } = await kit.executeCommand('ls -A; cat keep.txt')
    expect(stdout).toBe('keep.txt\nkept\n')
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', filesChanged: [] })
  })

  test('says that the key is wrong', async () => {
    const server = await model({ key: 'another-key' })
    const { kit, events } = kitFor(name, server)
    const error = await reasonOf(kit.generateCode({ prompt: 'x' }))
    expect(error).toMatchObject({ code: 'AGENT_FAILED' })
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'error', error: { code: 'auth', retryable: false } })
    // The secret is in no error and no event.
    expect(JSON.stringify([error.message, error.stack, error.stderr, events])).not.toContain('a-key')
  })

  test('gets over a busy model', async () => {
    const server = await model({ script: [fail(429, 'slow down', { 'retry-after': '1' }), say('Fine now.')] })
    const { kit, events } = kitFor(name, server)
    await kit.generateCode({ prompt: 'x' })
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'success', resultText: 'Fine now.' })
  })

  test('is stopped while the model is silent, and leaves nothing behind', async () => {
    const server = await model({ script: [hang()] })
    const { kit, events } = kitFor(name, server)
    const stop = new AbortController()
    const turn = reasonOf(kit.generateCode({ prompt: 'x', signal: stop.signal }))
    while (server.turns.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
    stop.abort()
    const error = await turn
    expect(error).toBe(stop.signal.reason)
    expect(events.at(-1)).toMatchObject({ type: 'finished', outcome: 'cancelled' })
    const { stdout } = await kit.executeCommand('ps -e -o comm= | grep -E "claude|codex|gemini|grok|opencode|node" || true')
    expect(stdout).toBe('')
  })
}

module.exports = { turnsOf }
