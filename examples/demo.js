'use strict'

/**
 * The main job, end to end: a coding agent works in the embedded sandbox, its events stream back, a second process picks the
 * session up, and in the end nothing is left. `npm run demo` builds what is needed and runs this.
 *
 * An agent that is installed and has its key in the environment answers for real. Otherwise Gemini CLI, the smallest of the
 * five, is fetched and talks to a scripted model server on loopback that speaks Google's wire protocol.
 */

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { VibeKit } = require('..')
const { installAgents } = require('../testing/agents')
const { startModelServer, write, say } = require('../testing/model-server')

const PROMPT = 'Write a file greeting.js that prints "Hello from the sandbox", then tell me in one sentence what it does.'

/** Agents in the order in which they are looked for, with the variable that holds their key. */
const REAL = [
  ['claude', 'ANTHROPIC_API_KEY'],
  ['codex', 'OPENAI_API_KEY'],
  ['gemini', 'GEMINI_API_KEY'],
  ['grok', 'XAI_API_KEY'],
  ['opencode', 'OPENAI_API_KEY'],
]

const out = (text = '') => process.stdout.write(`${text}\n`)
const title = (text) => out(`\n── ${text} ${'─'.repeat(Math.max(0, 76 - text.length))}`)

async function main() {
  const { config, who, server } = await chooseAgent()
  out(`The answers come from ${who}.`)
  try {
    await show(config)
  } finally {
    await server?.close()
  }
}

async function show(config) {
  title('A session in the embedded sandbox')
  const before = foreignProcesses()
  const vibeKit = new VibeKit({ ...config, workingDirectory: '/vibe0' })
  vibeKit.on('event', (event) => {
    const line = describe(event)
    if (line) out(`  ${line}`)
  })
  await vibeKit.executeCommand('git init -q . && git -c user.name=demo -c user.email=demo@localhost commit -q --allow-empty -m start')
  const session = await vibeKit.getSession()
  const ours = foreignProcesses().filter((pid) => !before.includes(pid))
  out(`  session ${session}, init process ${ours.join(', ')}`)

  title(`generateCode(${JSON.stringify(PROMPT)})`)
  let finished
  vibeKit.on('event', (event) => {
    if (event.type === 'finished') finished = event
  })
  await vibeKit.generateCode(PROMPT)
  const { usage, durationMs } = finished
  out(`  ${usage.inputTokens} input and ${usage.outputTokens} output tokens, ${(durationMs / 1000).toFixed(1)} s`)

  title('What the agent wrote')
  const diff = await vibeKit.executeCommand('git add -N . && git --no-pager diff')
  out(diff.stdout.trimEnd())
  await vibeKit[Symbol.asyncDispose]()

  title('A second process restores the session')
  out(execFileSync(process.execPath, [path.join(__dirname, 'restore.js'), session, 'greeting.js'], { encoding: 'utf8' }).trimEnd())

  title('kill(), and what is left')
  const last = new VibeKit({ ...config, sessionId: session })
  await last.kill()
  const left = {
    processes: foreignProcesses().filter((pid) => ours.includes(pid)).length,
    mounts: fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(session)).length,
    directories: sessionDirectories().filter((name) => name.includes(session)).length,
  }
  out(`  processes ${left.processes}, mounts ${left.mounts}, directories ${left.directories}; getSession() gives ${await last.getSession()}`)
  if (left.processes > 0 || left.mounts > 0 || left.directories > 0) throw new Error('something was left behind')
}

/** An agent with a key if there is one, else Gemini CLI and the scripted model. */
async function chooseAgent() {
  const agentOf = (type, apiKey, more = {}) => ({ type, model: { apiKey, ...more } })
  for (const [type, variable] of REAL) {
    const apiKey = process.env[variable]
    if (apiKey && onPath(type)) {
      const config = { agent: agentOf(type, apiKey), environment: { local: {} } }
      return { config, who: `${type}, with the key in ${variable}`, server: null }
    }
  }
  const agents = await installAgents(['gemini'], { progress: out })
  process.env.PATH = `${agents.bin}${path.delimiter}${process.env.PATH}`
  const server = await startModelServer({
    script: [
      write('greeting.js', "console.log('Hello from the sandbox')\n"),
      say('greeting.js prints one line that greets from inside the sandbox.'),
    ],
  })
  const address = new URL(server.url).host
  const config = {
    agent: agentOf('gemini', 'scripted-key', { name: 'gemini-2.5-pro', baseUrl: server.url }),
    environment: { local: { network: { allow: [address] } } },
  }
  return { config, who: `Gemini CLI ${agents.gemini.version} and a scripted model on ${address} (no account, no internet)`, server }
}

function onPath(program) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      fs.accessSync(path.join(folder, program), fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** One line for an event worth watching. */
function describe(event) {
  switch (event.type) {
    case 'session_started':
      return `agent up${event.model ? `, model ${event.model}` : ''}`
    case 'tool_call':
      return `→ ${event.name} ${event.title ?? ''}`
    case 'tool_result':
      return `← ${event.status}`
    case 'text':
      return `“${event.text.trim()}”`
    case 'notice':
      return `note: ${event.message}`
    case 'error':
      return `error: ${event.message}`
    default:
      return null
  }
}

/** Processes that live in another PID namespace than ours: what sandboxes are made of. */
function foreignProcesses() {
  const own = fs.readlinkSync('/proc/self/ns/pid')
  return fs.readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return fs.readlinkSync(`/proc/${name}/ns/pid`) !== own
    } catch {
      return false
    }
  })
}

function sessionDirectories() {
  const { VIBEKIT_HOME, XDG_STATE_HOME, HOME } = process.env
  const home = VIBEKIT_HOME || path.join(XDG_STATE_HOME || path.join(HOME ?? '/', '.local/state'), 'vibekit')
  try {
    return fs.readdirSync(path.join(home, 'sessions'))
  } catch {
    return []
  }
}

main().catch((error) => {
  process.exitCode = 1
  process.stderr.write(`\nThe demo failed: ${error.stack}\n`)
  if (error.hint) process.stderr.write(`${error.hint}\n`)
})
