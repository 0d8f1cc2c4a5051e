'use strict'

/**
 * Records what the real agents print, for the decoder tests of `vibekit-core`: `node testing/record.js [agent …]
 * [scenario …]`. `node testing/record.js decode` makes the events of all recordings anew and runs no agent.
 *
 * Each recording is a pair: `<name>.jsonl` holds standard output line by line, with long lists cut and places made
 * neutral; `<name>.json` holds what was asked, how the process ended, and the events the decoder made of it. The
 * events are what the test compares with, so read them before committing.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { installAgents, names } = require('./agents')
const { bareTurn, decode } = require('./bare-turn')
const { startModelServer, write, run, say, fail } = require('./model-server')

/** @typedef {import('./model-server').Step} Step */

const target = path.join(__dirname, '..', 'crates', 'vibekit-core', 'tests', 'recordings')

/** @type {Record<string, object>} */
const configs = {
  claude: { model: 'claude-sonnet-4-5' },
  codex: {},
  gemini: { model: 'gemini-2.5-pro' },
  grok: { model: 'scripted-model' },
  opencode: { model: 'gpt-4.1' },
}

/** Where each agent's base URL points below the server's. @type {Record<string, string>} */
const below = { claude: '', codex: '/v1', gemini: '', grok: '/v1', opencode: '/v1' }

const unknown = { opencode: 'ses_dfb36455bffegyDGc7Xj0p6l1v' }

/** @type {Record<string, { script: Step[], turn?: object, key?: string, model?: string, before?: boolean }>} */
const scenarios = {
  write: { script: [{ thought: 'A file is wanted.', text: 'I will write it.', write: { path: 'hello.txt', content: 'hello\nworld\n' } }, say('All done.')] },
  resume: { script: [say('First answer.'), say('Second answer.')], before: true },
  'command-fails': { script: [run('echo out; exit 7'), say('It failed.')] },
  ask: { script: [write('evil.txt', 'x'), say('I may not.')], turn: { mode: 'ask' } },
  'bad-key': { script: [say('never')], key: 'another' },
  'unknown-model': { script: [fail(404, 'model: no-such-model not found')], model: 'no-such-model' },
  busy: { script: [fail(429, 'slow down', { 'retry-after': '1' }), say('Fine now.')] },
  lost: { script: [say('never')], turn: { conversation: '6f1c1a52-4d0e-4d55-9d3a-0c8a3a0a3f11' } },
}

/** Long lists that say nothing about a turn. */
const noise = new Set(['tools', 'slash_commands', 'terminal_slash_commands', 'skills', 'agents', 'plugins', 'capabilities', 'commands', 'subagent_stats', 'memory_paths', 'responseHeaders', 'messaging_socket_path'])

/** @param {string} line */
function trim(line) {
  try {
    return JSON.stringify(JSON.parse(line, (key, value) => (noise.has(key) ? undefined : value)))
  } catch {
    return line
  }
}

/** @param {string} agent @param {string} name @param {string} bin @param {string} version */
async function record(agent, name, bin, version) {
  const scenario = scenarios[name]
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'record-'))
  const [home, cwd] = ['home', 'work'].map((folder) => path.join(root, folder))
  fs.mkdirSync(home)
  fs.mkdirSync(cwd)
  const server = await startModelServer({ script: scenario.script, key: scenario.key, models: ['scripted-model'] })
  try {
    const config = { type: agent, apiKey: 'a-key', ...configs[agent], ...(scenario.model ? { model: scenario.model } : {}), baseUrl: server.url + below[agent] }
    const where = { config, home, cwd, bin }
    /** @type {any} */
    let turn = { prompt: 'Write a file, please.', ...scenario.turn }
    if (turn.conversation && agent === 'opencode') turn.conversation = unknown.opencode
    if (scenario.before) {
      const first = await bareTurn({ ...where, turn })
      turn = { prompt: 'And now?', conversation: first.ending.nativeSessionId, usageBefore: first.ending.conversationUsage }
    }
    const result = await bareTurn({ ...where, turn })
    const neutral = (/** @type {string} */ text) =>
      text
        .replaceAll(cwd, '/vibe0')
        .replaceAll(cwd.slice(1), 'vibe0')
        .replaceAll(home, '/home/agent')
        .replaceAll(bin.replace(/\/bin$/, ''), '/opt/agents')
        .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1')
    const lines = neutral(result.stdout).split('\n').filter(Boolean).map(trim)
    const input = {
      config: JSON.parse(neutral(JSON.stringify(config))),
      turn: { workingDirectory: '/vibe0', ...turn },
      exit: { code: result.exit.code, ...(result.exit.signal ? { signal: result.exit.signal } : {}) },
      stderr: neutral(result.stderr).slice(-1024),
    }
    const outcome = store(path.join(target, agent, name), version, input, lines)
    process.stdout.write(`${agent} ${name}: exit ${result.exit.code}, ${result.ms} ms, ${outcome}\n`)
  } finally {
    await server.close()
    fs.rmSync(root, { recursive: true, force: true })
  }
}

/** @param {string} file without its ending @param {string} version @param {object} input @param {string[]} lines */
function store(file, version, input, lines) {
  const { events, ending } = decode(input, lines.join('\n'))
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(`${file}.jsonl`, lines.map((line) => `${line}\n`).join(''))
  fs.writeFileSync(`${file}.json`, `${JSON.stringify({ version, ...input, events, ending }, null, 2)}\n`)
  return ending.finished.outcome
}

function decodeAnew() {
  for (const agent of fs.readdirSync(target)) {
    for (const found of fs.readdirSync(path.join(target, agent)).filter((name) => name.endsWith('.jsonl'))) {
      const file = path.join(target, agent, found.slice(0, -'.jsonl'.length))
      const { version, config, turn, exit, stderr } = JSON.parse(fs.readFileSync(`${file}.json`, 'utf8'))
      store(file, version, { config, turn, exit, stderr }, fs.readFileSync(`${file}.jsonl`, 'utf8').split('\n').filter(Boolean))
    }
  }
}

/** @param {string[]} wanted */
async function main(wanted) {
  if (wanted[0] === 'decode') return decodeAnew()
  const [chosen, only] = [wanted.filter((word) => names.includes(/** @type {any} */ (word))), wanted.filter((word) => word in scenarios)]
  const agents = await installAgents(chosen.length ? chosen : names)
  for (const agent of chosen.length ? chosen : names) {
    for (const name of only.length ? only : Object.keys(scenarios)) {
      await record(agent, name, agents.bin, /** @type {any} */ (agents)[agent].version)
    }
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
})
