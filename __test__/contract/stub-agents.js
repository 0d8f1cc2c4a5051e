'use strict'

/** Programs with the agents' names that tell what they were given, and real shells to run them with. */

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const AGENTS = ['claude', 'codex', 'gemini', 'grok', 'opencode']

/** NUL-separated arguments, then standard input, into one file: nothing is interpreted on the way. */
const STUB = `#!/bin/sh
for argument in "$@"; do printf '%s\\0' "$argument"; done >"$STUB_ARGV"
cat >"$STUB_STDIN"
`

let folder

function place() {
  if (folder) return folder
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-stubs-'))
  for (const name of AGENTS) fs.writeFileSync(path.join(folder, name), STUB, { mode: 0o755 })
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * What the agent of a line gets.
 * @param {'bash' | 'dash'} shell @param {string} line with or without the leading `cd`
 * @returns {{ argv: string[], stdin: string }}
 */
function received(shell, line) {
  const bin = place()
  const [argv, stdin] = ['argv', 'stdin'].map((name) => path.join(bin, `${name}.txt`))
  for (const file of [argv, stdin]) fs.rmSync(file, { force: true })
  const env = { PATH: `${bin}:${process.env.PATH}`, STUB_ARGV: argv, STUB_STDIN: stdin, HOME: '/nowhere' }
  execFileSync(shell, ['-c', line.replace(/^cd \S+ && /, '')], { env, cwd: bin, stdio: ['ignore', 'ignore', 'ignore'] })
  return { argv: fs.readFileSync(argv, 'utf8').split('\0').slice(0, -1), stdin: fs.readFileSync(stdin, 'utf8') }
}

module.exports = { received, AGENTS }
