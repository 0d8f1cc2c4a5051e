'use strict'

/** In ask mode the sandbox itself keeps the agent from changing files, whatever the agent does about it. */

const { VibeKit } = require('vibekit-native')
const { AGENTS, useStubs } = require('./stubs')

jest.setTimeout(60_000)

useStubs()

/** Objects to end when the test is over, however it ends. */
const open = []

afterEach(async () => {
  for (const kit of open.splice(0)) await kit.kill()
})

/** An object whose agent writes its record to a file. */
function kitOf(type, record, more = {}) {
  const kit = new VibeKit({
    agent: { type, model: { apiKey: 'a-key' } },
    environment: { local: { network: 'deny' } },
    secrets: { STUB_RECORD: record },
    ...more,
  })
  const events = []
  kit.on('event', (event) => events.push(event))
  open.push(kit)
  return { kit, events }
}

test.each(AGENTS)('%s cannot write to the working directory', async (type) => {
  const { kit, events } = kitOf(type, '/vibe0/record.json')
  await kit.executeCommand('echo kept > record.json')
  await expect(kit.generateCode({ prompt: 'x', mode: 'ask' })).rejects.toMatchObject({ code: 'AGENT_FAILED', stderr: expect.stringContaining('EACCES') })
  expect((await kit.executeCommand('cat record.json')).stdout).toBe('kept\n')
  expect(events.filter((event) => event.code === 'read_only_unenforced')).toEqual([])
  // In code mode it can.
  await kit.generateCode({ prompt: 'x', mode: 'code' })
  expect((await kit.executeCommand('cat record.json')).stdout).not.toBe('kept\n')
})

test.each(AGENTS)('%s can write to its home', async (type) => {
  const { kit } = kitOf(type, '/home/user/record.json')
  await kit.generateCode({ prompt: 'x', mode: 'ask' })
  expect((await kit.executeCommand('ls ~/record.json')).exitCode).toBe(0)
})

test('a sandbox that cannot see to that says so', async () => {
  const { kit, events } = kitOf('claude', '/tmp/project/record.json', { workingDirectory: '/tmp/project' })
  await kit.generateCode({ prompt: 'x', mode: 'ask' })
  expect(events[0]).toMatchObject({ type: 'notice', code: 'read_only_unenforced', synthetic: true })
})
