#!/usr/bin/env node
'use strict'

/**
 * Stands in for any of the five agents: writes down how it was started and prints a scripted stream. Made for tests that look
 * at what reaches an agent; the file is linked under the agent's name (`installStub`).
 *
 * Environment: `STUB_RECORD` names the file for the record (JSON: `name`, `args`, `env`, `cwd`, and of standard input `bytes` and
 * `sha256`); `STUB_OUTPUT` is printed to standard output; `STUB_ERRORS` to standard error; `STUB_EXIT` is the exit code.
 * `STUB_REFUSES` is a flag this version does not know: it is not in its `--help`, and given it the stub ends with code 64.
 */

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

/**
 * Puts stubs for these agents into a folder for `PATH`.
 * @param {string} folder
 * @param {readonly string[]} names
 */
function installStub(folder, names) {
  fs.mkdirSync(folder, { recursive: true })
  for (const name of names) {
    const place = path.join(folder, name)
    fs.copyFileSync(__filename, place)
    fs.chmodSync(place, 0o755)
  }
}

/**
 * What each agent prints on a turn that goes well, as shortly as it can be said.
 * @type {Record<string, string>}
 */
const success = {
  claude: lines({ type: 'result', subtype: 'success', is_error: false, result: 'Done.', session_id: 'stub' }),
  codex: lines(
    { type: 'thread.started', thread_id: 'stub' },
    { type: 'item.completed', item: { id: 'item_0', type: 'agent_message', text: 'Done.' } },
    { type: 'turn.completed', usage: {} },
  ),
  gemini: lines({ type: 'message', role: 'assistant', content: 'Done.', delta: true }, { type: 'result', status: 'success' }),
  grok: lines({ type: 'text', data: 'Done.' }, { type: 'end', stopReason: 'end_turn' }),
  opencode: lines(
    { type: 'text', sessionID: 'stub', part: { messageID: 'm', text: 'Done.' } },
    { type: 'step_finish', sessionID: 'stub', part: { reason: 'stop' } },
  ),
}

/** What our flags a turn can do without are called. @type {readonly string[]} */
const FLAGS = [
  '--include-partial-messages', '--system-prompt-snapshot', '--session-id', '--disable', '--thinking', '--auto',
  '--output-format', '--verbatim',
]

/** @param {...object} events */
function lines(...events) {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('')
}

function main() {
  const name = path.basename(process.argv[1])
  const args = process.argv.slice(2)
  const refused = process.env.STUB_REFUSES
  if (args.includes('--help')) {
    const known = FLAGS.filter((flag) => flag !== refused)
    process.stdout.write(['Options:', '  -h, --help', ...known.map((flag) => `  ${flag} <value>`), ''].join('\n'))
    return
  }
  if (refused && args.includes(refused)) {
    process.stderr.write(`${name}: this is not how I am used\n`)
    process.exitCode = 64
    return
  }
  const file = args.indexOf('--prompt-file')
  const input = fs.readFileSync(file < 0 ? 0 : args[file + 1])
  const { STUB_RECORD, STUB_OUTPUT, STUB_ERRORS, STUB_EXIT } = process.env
  if (STUB_RECORD) {
    const stdin = { bytes: input.length, sha256: crypto.createHash('sha256').update(input).digest('hex') }
    fs.writeFileSync(STUB_RECORD, JSON.stringify({ name, args, env: process.env, cwd: process.cwd(), stdin }))
  }
  process.exitCode = Number(STUB_EXIT ?? 0)
  process.stderr.write(STUB_ERRORS ?? '')
  process.stdout.write(STUB_OUTPUT ?? success[name] ?? '')
}

if (require.main === module) main()

module.exports = { installStub, success }
