'use strict'

/** Programs of another version: what they do not know they are not given again, by this process or the next. */

const { VibeKit } = require('vibekit-native')
const { useStubs } = require('./stubs')

jest.setTimeout(120_000)

const RECORD = '/vibe0/record.json'

useStubs()

/** Objects to end when the test is over, however it ends. */
const open = []

afterEach(async () => {
  // One of them was disposed: its session is the other's by then.
  for (const kit of open.splice(0)) await kit.kill().catch(() => {})
})

function kitOf(type, refused, sessionId) {
  const kit = new VibeKit({
    agent: { type, model: { apiKey: 'a-key' } },
    environment: { local: { network: 'deny' } },
    secrets: { STUB_RECORD: RECORD, STUB_REFUSES: refused },
    sessionId,
  })
  open.push(kit)
  return kit
}

/** Runs a turn. Gives the arguments the program took, and what listeners were told of flags. */
async function turn(kit) {
  const notices = []
  const listen = ({ type, code, message }) => type === 'notice' && code === 'flag_refused' && notices.push(message)
  kit.on('event', listen)
  await kit.generateCode({ prompt: 'hello' })
  kit.off('event', listen)
  const { args } = JSON.parse((await kit.executeCommand(`cat ${RECORD}`)).stdout)
  return { args, notices }
}

test.each([
  ['claude', '--system-prompt-snapshot'],
  ['codex', '--disable'],
  ['gemini', '--session-id'],
  ['opencode', '--thinking'],
  ['grok', '--verbatim'],
])('%s that does not know %s runs without it', async (type, flag) => {
  const kit = kitOf(type, flag)
  const first = await turn(kit)
  expect(first.args).not.toContain(flag)
  expect(first.notices).toEqual([expect.stringContaining(flag)])
  expect((await turn(kit)).notices).toEqual([])

  const sessionId = await kit.getSession()
  await kit.dispose()
  // Another object knows it from the session's record.
  const again = await turn(kitOf(type, flag, sessionId))
  expect(again.args).not.toContain(flag)
  expect(again.notices).toEqual([])
})
