'use strict'

/**
 * What both SDKs are put through. A scenario drives the package it is given and tells what could be observed; `run.js` runs all
 * of them over one package in a process of its own, and the test compares.
 */

const { recordingProvider, recordEvents } = require('../support/provider')

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-test', model: 'gpt-5' }
const success = { exitCode: 0, stdout: '', stderr: '' }

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {(sdk: any) => unknown} observe
 * @property {string} [deviation] its number in docs/migration.md: the two differ, and `ours` says how
 * @property {(ours: any, theirs: any, expect: any) => void} [ours] checks our side of a deviation
 */

/** A settled promise in a form that compares. */
const outcome = (promise) =>
  Promise.resolve(promise).then(
    (value) => ({ value }),
    (error) => ({ rejected: error instanceof Error ? { name: error.constructor.name, message: error.message } : { thrown: error } }),
  )

/** The same of a function that may throw at once. */
const attempt = (call) => outcome(new Promise((resolve) => resolve(call())))

/** An object over a provider, and everything that can be seen of it. */
function observe({ VibeKit }, script, configure = (kit) => kit) {
  const provider = recordingProvider(script)
  const kit = configure(new VibeKit().withAgent(AGENT).withSandbox(provider))
  return { kit, provider, events: recordEvents(kit) }
}

/** Whether the commands of scenarios are the second ones of their objects. */
let later = false

/** The same scenarios, over sandboxes that have run a command already. @param {Scenario[]} all @returns {Scenario[]} */
const again = (all) => all.filter(({ deviation }) => !deviation).map(({ name, observe: observe_ }) => ({
  name: `again, ${name}`,
  async observe(sdk) {
    later = true
    try {
      return await observe_(sdk)
    } finally {
      later = false
    }
  },
}))

/** Runs a first command that succeeds, and forgets what was seen of it. */
async function warmUp(kit, provider, events) {
  if (!later) return
  await outcome(kit.executeCommand(FIRST))
  provider.calls.length = 0
  events.length = 0
}

const FIRST = 'the-first-command'

/** A script that leaves the first command alone. */
const sparing = ({ run, ...script } = {}) =>
  run ? { ...script, run: (line, options) => (line.endsWith(FIRST) ? success : run(line, options)) } : script

/** One command after which everything is told. */
async function command(sdk, script, { configure, options, line = 'cmd' } = {}) {
  const { kit, provider, events } = observe(sdk, sparing(script), configure)
  await warmUp(kit, provider, events)
  const result = await outcome(kit.executeCommand(line, options))
  return { result, events, calls: provider.calls, session: (await kit.getSession()) ?? null }
}

/** One run of the agent by `runTests()`, the agent-level flow. */
async function tests(sdk, script, { configure } = {}) {
  const { kit, provider, events } = observe(sdk, script, configure)
  const result = await outcome(kit.runTests())
  return { result, events, calls: withoutLines(provider.calls), session: (await kit.getSession()) ?? null }
}

/** Calls of a provider without the lines that run an agent: they are quoted in another way (D11), which `generate.js` looks at. */
const withoutLines = (calls) => calls.map((call) => (call[0] === 'run' && / (codex|claude|gemini|grok|opencode) /.test(String(call[1])) ? ['run', 'the agent', call[2]] : call))

/** Whether a line is the call's own, not one of the steps before it. */
const isMain = (line, options) => typeof options?.onStderr === 'function' && !line.startsWith('mkdir ')

/** A script whose call prints chunks. */
const printing = (stdout, stderr = []) => ({
  run(line, options = {}) {
    if (!isMain(line, options)) return success
    for (const chunk of stdout) options.onStdout(chunk)
    for (const chunk of stderr) options.onStderr(chunk)
    return success
  },
})

/** Answers the call proper; the steps before it succeed. */
const answering = (answer) => ({ run: (line, options) => (isMain(line, options) ? answer(line, options) : success) })

/** Rejects the steps whose line contains one of the texts. */
const refusing = (...texts) => ({
  run: (line) => (texts.some((text) => line.includes(text)) ? Promise.reject(new Error(`refused: ${line}`)) : success),
})

/** Scenarios from an object of functions. @returns {Scenario[]} */
const scenarios = (group, all) => Object.entries(all).map(([name, observe_]) => ({ name: `${group}: ${name}`, observe: observe_ }))

/** A scenario in which the two differ on purpose. @returns {Scenario} */
const deviation = (number, name, observe_, ours) => ({ name: `${number} ${name}`, deviation: number, observe: observe_, ours })

/** Environment variables for the time of a call. */
async function withEnv(variables, call) {
  const former = { ...process.env }
  Object.assign(process.env, variables)
  try {
    return await call()
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
    Object.assign(process.env, former)
  }
}

/** What the console is told while a call runs. */
async function printed(call) {
  const lines = []
  const former = {}
  for (const name of ['log', 'warn', 'error', 'info']) {
    former[name] = console[name]
    console[name] = (...args) => lines.push([name, ...args.map((arg) => (arg instanceof Error ? arg.message : String(arg)))])
  }
  try {
    await call()
  } finally {
    Object.assign(console, former)
  }
  return lines
}

module.exports = {
  again, AGENT, success, outcome, attempt, observe, command, tests, isMain, printing, answering, refusing, scenarios, deviation, withEnv, printed, withoutLines,
  recordingProvider, recordEvents,
}
