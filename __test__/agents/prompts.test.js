'use strict'

/** A prompt is data: whatever is in it, and whatever its size, it reaches the agent byte for byte. */

const crypto = require('node:crypto')
const { VibeKit } = require('vibekit-native')
const { AGENTS, useStubs } = require('./stubs')

jest.setTimeout(120_000)

const RECORD = '/vibe0/record.json'

useStubs()

/** Objects to end when the test is over, however it ends. */
const open = []

afterEach(async () => {
  for (const kit of open.splice(0)) await kit.kill()
})

function kitOf(type) {
  const kit = new VibeKit({
    agent: { type, model: { apiKey: 'a-key' } },
    environment: { local: { network: 'deny' } },
    secrets: { STUB_RECORD: RECORD },
  })
  open.push(kit)
  return kit
}

/** How the stub says it was started. */
async function recordOf(kit) {
  return JSON.parse((await kit.executeCommand(`cat ${RECORD}`)).stdout)
}

const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')

/** The one thing that is ever added: what keeps an agent from taking a prompt for a command of its own. */
function expected(type, prompt) {
  if (type === 'claude' && prompt.startsWith('/')) return `\n${prompt}`
  if (type === 'grok' && prompt.trimStart().startsWith('/')) return `\u2060${prompt}`
  return prompt
}

/** Numbers from a seed, so that a failure can be played again. */
function randomFrom(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const PIECES = ['a', ' ', '\n', '\r\n', '\t', '"', "'", '`', '$', '$HOME', '$(id)', '\\', '\\n', '!', '%s', '-n', '--', '&&', ';', '|', '>', '*', '~', '#', '@', '/', '{', '}', '\u0000', '\u001b[31m', '\u2028', 'é', '日本', '🎉', '👩‍👩‍👧']

function randomPrompt(random) {
  return Array.from({ length: 1 + random(60) }, () => PIECES[random(PIECES.length)]).join('')
}

describe.each(AGENTS)('%s', (type) => {
  test('gets any prompt as it is', async () => {
    const seed = Number(process.env.VIBEKIT_SEED ?? Date.now() % 2 ** 31)
    const random = randomFrom(seed)
    const kit = kitOf(type)
    const prompts = [`It's "x" $HOME \`id\` \\ ! %s\r\nsecond\ttab`, '/help me', '  white space \n\n', '-n --help']
    while (prompts.length < 16) prompts.push(randomPrompt(random))
    for (const prompt of prompts) {
      // One conversation each: on a resumed one, Grok is reminded of its mode as well.
      await kit.executeCommand(`rm -f ${RECORD}`)
      const fresh = type === 'grok' ? kitOf(type) : kit
      await fresh.generateCode({ prompt })
      const { name, stdin, args } = await recordOf(fresh)
      const wanted = expected(type, prompt)
      expect({ seed, prompt, name, ...stdin }).toEqual({ seed, prompt, name: type, bytes: Buffer.byteLength(wanted), sha256: sha256(wanted) })
      expect(args).not.toContain(prompt)
    }
  })

  test('gets eight mebibytes', async () => {
    const line = `It's "x" $HOME \\ é 🎉\n`
    const prompt = line.repeat(Math.floor((8 * 1024 * 1024) / Buffer.byteLength(line)))
    const kit = kitOf(type)
    await kit.generateCode({ prompt })
    expect((await recordOf(kit)).stdin).toEqual({ bytes: Buffer.byteLength(prompt), sha256: sha256(prompt) })
  })

  test('gets no key in its arguments', async () => {
    const kit = kitOf(type)
    await kit.generateCode({ prompt: 'x' })
    const { args, env } = await recordOf(kit)
    expect(args.join(' ')).not.toContain('a-key')
    expect(Object.values(env).join(' ')).toContain('a-key')
  })
})
