'use strict'

/** Secrets for a line, with each shell and each program that can make a key. */

const { execFileSync } = require('node:child_process')
const { generateKeyPairSync } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { sealed } = require('../../lib/sealed')
const { folder } = require('./support')

let work

beforeEach(() => (work = folder()))
afterEach(() => work.clean())

/** A shell with these programs and no others. */
function shellWith(shell, programs) {
  const bin = path.join(work.path, 'bin')
  const tmp = path.join(work.path, 'tmp')
  for (const made of [bin, tmp]) fs.mkdirSync(made)
  const which = (name) => execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
  for (const name of ['mktemp', 'rm', ...programs]) fs.symlinkSync(name === 'node' ? process.execPath : which(name), path.join(bin, name))
  const file = which(shell)
  return { left: () => fs.readdirSync(tmp), run: async (line) => execFileSync(file, ['-c', line], { encoding: 'utf8', env: { PATH: bin, TMPDIR: tmp }, stdio: ['ignore', 'pipe', 'ignore'] }) }
}

const SECRET = `it's "$x" \`y\` ${'long'.repeat(300)}`
const EXPORTS = `export SECRET='it'\\''s "$x" \`y\` ${'long'.repeat(300)}' OTHER=plain`

describe.each(['bash', 'dash'])('%s', (shell) => {
  test.each(['openssl', 'node'])('%s makes the key, opens the secret and leaves nothing', async (program) => {
    const { run, left } = shellWith(shell, [program])
    const line = await sealed(run, EXPORTS, 'printf %s "$SECRET $OTHER"; false')
    expect(line).not.toContain('long')
    const told = await run(`${line}; echo " $? [$SECRET$OTHER$s]"`)
    // The code is the line's own, and the shell around it knows nothing.
    expect(told).toBe(`${SECRET} plain 1 []\n`)
    expect(left()).toEqual([])
  })

  test('with neither, the line stays as it is', async () => {
    const { run, left } = shellWith(shell, [])
    const quiet = (line) => run(line).catch(({ stdout }) => stdout)
    expect(await sealed(quiet, EXPORTS, 'true')).toBe('true')
    expect(left()).toEqual([])
  })
})

const pem = (bits, type = 'rsa') => generateKeyPairSync(type, { modulusLength: bits, namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' } }).publicKey

test.each([
  ['nothing', ''],
  ['something else', 'openssl /tmp/x\nno key'],
  ['a folder that is more than one', `openssl /tmp/x; reboot\n${pem(2048)}`],
  ['a short key', `openssl /tmp/x\n${pem(1024)}`],
  ['a key of another kind', `openssl /tmp/x\n${pem(0, 'ec')}`],
])('a sandbox that answers with %s gets no secret', async (_name, answer) => {
  expect(await sealed(async () => answer, EXPORTS, 'true')).toBe('true')
})
