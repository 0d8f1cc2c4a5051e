'use strict'

/** `generateCode()` of the fluent generation: what an agent is run with, seen by the agent. */

const { observe, outcome, printing, scenarios, deviation, printed } = require('../harness')
const { received } = require('../stub-agents')
const { AGENTS } = require('./setup')

/** What a stub of the agent gets, under a real shell. */
async function turn(sdk, agent, options, shell) {
  const { kit, provider } = observe(sdk, undefined, (kit) => kit.withAgent(agent))
  await kit.generateCode(options)
  const [, line, run] = provider.calls.filter(([name]) => name === 'run').at(-1)
  return { run, received: received(shell, line) }
}

const CODE = "Do the necessary changes to the codebase based on the users input.\nDon't ask any follow up questions."
const ASK = "Research the repository and answer the user's questions. Do NOT make any changes to any files in the repository."

/** Arguments without the texts, in which the two differ (D11). */
const shape = ({ argv, ...rest }) => ({ ...rest, argv: argv.map((one) => (/Research|necessary/.test(one) ? 'TEXT' : one)), stdin: /Research|necessary/.test(rest.stdin) ? 'TEXT' : rest.stdin })

module.exports = [
  ...scenarios('generateCode', {
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [
      `${name} to ask`, async (sdk) => {
        const { run, received: got } = await turn(sdk, agent, { prompt: 'PROMPT', mode: 'ask' }, 'bash')
        return { run, got: shape(got) }
      },
    ])),
    ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [
      `${name} without a model, to ask`, async (sdk) => {
        const { received: got } = await turn(sdk, { ...agent, model: undefined }, { prompt: 'PROMPT', mode: 'ask' }, 'dash')
        return shape(got)
      },
    ])),
    ...Object.fromEntries(Object.entries(AGENTS).filter(([name]) => name !== 'claude').map(([name, agent]) => [
      `${name} to code`, async (sdk) => shape((await turn(sdk, agent, { prompt: 'PROMPT', mode: 'code' }, 'bash')).received),
    ])),
    'the steps and messages around it': async (sdk) => {
      const { kit, provider, events } = observe(sdk, printing(['{"a":1}']))
      const result = await outcome(kit.generateCode({ prompt: 'x', mode: 'ask' }))
      return { result, events: events.filter(([name]) => name !== 'update'), calls: provider.calls.map(([name, line, options]) => [name, name === 'run' && !line.startsWith('mkdir') ? '' : line, options]) }
    },
    'a failure': async (sdk) => {
      const { kit, events } = observe(sdk, { run: (line) => (line.includes('codex') ? Promise.reject(new Error('no')) : { exitCode: 0, stdout: '', stderr: '' }) })
      return [await outcome(kit.generateCode({ prompt: 'x', mode: 'ask' })), events.filter(([name]) => name !== 'update')]
    },
    'a branch': async (sdk) => {
      const { kit, provider, events } = observe(sdk)
      await kit.generateCode({ prompt: 'x', mode: 'ask', branch: 'b' })
      return [provider.calls.map(([, line]) => line).filter((line) => typeof line === 'string' && line.includes('git ')), events.filter(([name]) => name !== 'update')]
    },
    'the warning': (sdk) => printed(async () => {
      const { kit } = observe(sdk)
      await kit.generateCode({ prompt: 'x', mode: 'ask' })
      await kit.generateCode({ prompt: 'x', mode: 'ask' })
    }).then((lines) => lines.filter(([name]) => name === 'warn')),
    'it is not remembered when it failed': async (sdk) => {
      const { kit } = observe(sdk, { run: (line) => (line.includes('codex') ? Promise.reject(new Error('no')) : { exitCode: 0, stdout: '', stderr: '' }) })
      await outcome(kit.generateCode({ prompt: 'x', mode: 'ask' }))
      return kit.agent.lastPrompt
    },
  }),
  ...Object.entries(AGENTS).flatMap(([name, agent]) => ['bash', 'dash'].map((shell) =>
    deviation('D11', `a prompt reaches ${name} byte for byte under ${shell}`, async (sdk) => (await turn(sdk, agent, { prompt: "Don't use $HOME `x` \"y\" a\\b!\nsecond", mode: 'code' }, shell)).received, (ours, _theirs, expect) => {
      const prompt = "Don't use $HOME `x` \"y\" a\\b!\nsecond"
      const whole = [...ours.argv, ours.stdin].join('\0')
      expect(whole).toContain(prompt)
      expect(whole).toContain(CODE)
    }),
  )),
  deviation('D11', 'the instruction to ask arrives as it is', async (sdk) => (await turn(sdk, AGENTS.codex, { prompt: 'x', mode: 'ask' }, 'bash')).received, (ours, theirs, expect) => {
    expect(ours.argv.at(-1)).toBe(`${ASK}\n\nUser: x`)
    expect(theirs.argv.at(-1)).not.toContain(ASK)
  }),
  deviation('D8', 'messages are updates as well', async (sdk) => {
    const { kit, events } = observe(sdk, printing(['{"a":1}']))
    await kit.generateCode({ prompt: 'x', mode: 'ask' })
    return events
  }, (ours, theirs, expect) => {
    expect(ours).toContainEqual(['update', '{"a":1}'])
    expect(theirs.map(([name]) => name)).not.toContain('update')
  }),
  deviation('D9', 'the history is used, and the prompt remembered', async (sdk) => {
    const { kit, provider } = observe(sdk)
    await kit.generateCode({ prompt: 'NOW', mode: 'ask', history: [{ role: 'user', content: 'BEFORE' }] })
    return { used: provider.calls.some(([, line]) => String(line).includes('BEFORE')), lastPrompt: kit.agent.lastPrompt }
  }, (ours, theirs, expect) => {
    expect(ours).toEqual({ used: true, lastPrompt: 'NOW' })
    expect(theirs.used).toBe(false)
  }),
  deviation('D10', 'claude may edit when it is to code', async (sdk) => (await turn(sdk, AGENTS.claude, { prompt: 'x', mode: 'code' }, 'bash')).received.argv, (ours, theirs, expect) => {
    expect(ours).toContain('--allowedTools')
    expect(theirs).not.toContain('--allowedTools')
  }),
]
