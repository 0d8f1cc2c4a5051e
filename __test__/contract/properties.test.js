'use strict'

/** What holds for every output and every prompt, not only for those somebody thought of. */

const fc = require('fast-check')
const { VibeKit } = require('vibekit-native')
const { received } = require('./stub-agents')
const { AGENTS } = require('./scenarios/setup')
const { printing, recordingProvider, recordEvents } = require('./harness')

const kitOver = (script, agent = AGENTS.codex) => new VibeKit().withAgent(agent).withSandbox(recordingProvider(script))

/** The messages of a command that prints chunks. */
async function messagesOf(chunks) {
  const kit = kitOver(printing(chunks))
  const events = recordEvents(kit, ['stdout'])
  await kit.executeCommand('cmd')
  return events.slice(1, -1).map(([, text]) => text)
}

/** A text cut into chunks at some of its places. */
const cut = (text, places) => {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length))
}
const places = fc.array(fc.nat(10_000), { maxLength: 12 })

const document_ = fc.dictionary(fc.string(), fc.jsonValue({ depthSize: 'small' }), { noNullPrototype: true }).map((object) => JSON.stringify(object))

describe('output', () => {
  test('of JSON documents in lines is those documents, wherever it is cut', () =>
    fc.assert(fc.asyncProperty(fc.array(document_, { maxLength: 6 }), fc.constantFrom('', '\n', '\r\n', '\n\n'), places, async (documents, between, at) => {
      const messages = await messagesOf(cut(documents.map((one) => one + between).join(''), at))
      expect(messages.map((message) => message.trim())).toEqual(documents)
    }), { numRuns: 300 }))

  test('of text without braces and quotes is that text, in one piece', () =>
    fc.assert(fc.asyncProperty(fc.string({ unit: fc.constantFrom('a', 'é', '日', '😀', ' ', '\n', '\\', '[', ']', ':', ',', '\ud83d') }), places, async (text, at) => {
      expect(await messagesOf(cut(text, at))).toEqual(text.trim() === '' ? [] : [text])
    }), { numRuns: 300 }))

  test('of anything loses nothing but blanks, line breaks and NUL', () => {
    const piece = fc.constantFrom('{', '}', '"', '\\', 'a', '{"a":1}', '{"b":"}"}', '\n', '\r\n', ' ', '\0', '\ud83d', '\ude00', '[{}]', '{}', 'text ', "{'no'}", '{"open":')
    const visible = (text) => text.replace(/[\s\0]/g, '')
    return fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 30 }), places, async (pieces, at) => {
      const text = pieces.join('')
      expect(visible((await messagesOf(cut(text, at))).join(''))).toBe(visible(text))
    }), { numRuns: 500 })
  })
})

describe('a prompt reaches the agent byte for byte', () => {
  // No program argument can hold a NUL; halves of surrogate pairs have no form in UTF-8.
  const character = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...`'"\`$\\!#&;|<>()[]{}*?~%^=\n\t\r -`) },
    { weight: 1, arbitrary: fc.constantFrom('-n', '\\n', '\\c', '$(touch pwned)', '`id`', "'\\''", '${HOME}', '!!', '%s', '\\0101') },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }).filter((text) => !text.includes('\0')) },
  )
  const prompt = fc.array(character, { minLength: 1, maxLength: 24 }).map((all) => all.join(''))

  test.each(Object.keys(AGENTS).flatMap((name) => ['bash', 'dash'].map((shell) => [name, shell])))('%s under %s', async (name, shell) =>
    fc.assert(fc.asyncProperty(prompt, prompt, async (text, before) => {
      const provider = recordingProvider()
      const kit = new VibeKit().withAgent(AGENTS[name]).withSandbox(provider)
      await kit.generateCode({ prompt: text, history: [{ role: 'user', content: before }] })
      const line = provider.calls.at(-1)[1]
      const { argv, stdin } = received(shell, line)
      const whole = [...argv, stdin].join('\0')
      expect(whole).toContain(text)
      expect(whole).toContain(before)
      expect(whole).toContain("Don't ask any follow up questions.")
      // Standard input is the prompt and nothing else for those who take it there alone.
      if (name === 'claude' || name === 'grok') expect(stdin).toBe(`${text}\n`)
    }), { numRuns: 40 }), 60_000)
})

beforeAll(() => {
  process.env.VIBEKIT_NO_DEPRECATION = '1'
})
