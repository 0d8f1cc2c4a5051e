'use strict'

/** `runTests()`: the agent-level flow with its fixed prompt. */

const { tests, printing, success, observe, outcome, scenarios, isMain, withoutLines } = require('../harness')
const { AGENTS } = require('./setup')

module.exports = scenarios('runTests', {
  ...Object.fromEntries(Object.entries(AGENTS).map(([name, agent]) => [
    `with ${name}`, async (sdk) => (await tests(sdk, printing(['{"a":1}\n']), { configure: (kit) => kit.withAgent(agent) })),
  ])),
  'claude without any credential': async (sdk) => (await tests(sdk, undefined, { configure: (kit) => kit.withAgent({ ...AGENTS.claude, apiKey: undefined }) })),
  'a session to resume': async (sdk) => (await tests(sdk, undefined, { configure: (kit) => kit.withSession('kept') })),
  'a working directory': async (sdk) => (await tests(sdk, undefined, { configure: (kit) => kit.withWorkingDirectory('/w') })),
  'an agent that fails': async (sdk) => (await tests(sdk, { run: (line, options) => (isMain(line, options) ? Promise.reject(new Error('exit status 1')) : success) })),
  'the code of the agent is not looked at': async (sdk) => (await tests(sdk, { run: (line, options) => (isMain(line, options) ? { ...success, exitCode: 3 } : success) })),
  'twice': async (sdk) => {
    const { kit, provider, events } = observe(sdk)
    const results = [await outcome(kit.runTests()), await outcome(kit.runTests())]
    return { results, events, calls: withoutLines(provider.calls) }
  },
  'is remembered by the agent': async (sdk) => {
    const { kit } = observe(sdk)
    await kit.runTests()
    return kit.agent.lastPrompt
  },
  'an argument is no harm': async (sdk) => {
    const { kit } = observe(sdk)
    return outcome(kit.runTests(undefined))
  },
})
