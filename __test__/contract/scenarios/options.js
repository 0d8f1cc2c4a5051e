'use strict'

/** Options of a command, as the provider gets them. */

const { command, observe, outcome, scenarios, deviation } = require('../harness')

const OPTIONS = {
  'undefined': undefined,
  'an empty object': {},
  'timeoutMs: undefined': { timeoutMs: undefined },
  'timeoutMs: 1': { timeoutMs: 1 },
  'timeoutMs: two hours': { timeoutMs: 7_200_000 },
  'background: false': { background: false },
  'background: undefined': { background: undefined },
  'further keys': { cwd: '/x', user: 'root' },
  'a background command with a limit': { background: true, timeoutMs: 10 },
  'callbacks: null': { callbacks: null },
  'branch: undefined': { branch: undefined },
  'branch: empty': { branch: '' },
  'useRepoContext': { useRepoContext: true },
}

const LINES = {
  'quotes': `echo "it's" 'so' \`x\` $HOME`,
  'several lines': 'echo a\necho b',
  'an empty line': '',
  'not Latin': 'echo größe 日本語 😀',
  'a backslash at the end': 'echo \\',
}

module.exports = [
  ...scenarios('options', {
    ...Object.fromEntries(Object.entries(OPTIONS).map(([name, options]) => [name, (sdk) => command(sdk, undefined, { options })])),
    ...Object.fromEntries(Object.entries(LINES).map(([name, line]) => [`a line of ${name}`, (sdk) => command(sdk, undefined, { line })])),
    'they are not changed': async (sdk) => {
      const { kit } = observe(sdk)
      const options = Object.freeze({ timeoutMs: 5 })
      return [await outcome(kit.executeCommand('cmd', options)), options]
    },
    'the provider gets objects of its own': async (sdk) => {
      const seen = []
      const { kit } = observe(sdk, { run: (_line, options) => (seen.push(options), { exitCode: 0, stdout: '', stderr: '' }) })
      const options = { timeoutMs: 5 }
      await kit.executeCommand('cmd', options)
      const main = seen.at(-1)
      return [main === options, Object.getPrototypeOf(main) === Object.prototype, main.onStdout === main.onStderr]
    },
  }),
  deviation('D12', 'a working directory that needs quotes gets them', (sdk) => command(sdk, undefined, { configure: (kit) => kit.withWorkingDirectory('/srv/my app; rm -rf $HOME') }), (ours, _theirs, expect) => {
    const lines = ours.calls.filter(([name]) => name === 'run').map(([, line]) => line)
    for (const line of lines) expect(line).toContain('my app')
    const { execFileSync } = require('node:child_process')
    // What the shell takes for the directory is one word, and nothing is run by it.
    for (const shell of ['bash', 'dash']) {
      const words = execFileSync(shell, ['-c', `cd() { printf '%s\\n' "$@"; }; cmd() { :; }; ${lines.at(-1)}`], { encoding: 'utf8' })
      expect(words).toBe('/srv/my app; rm -rf $HOME\n')
    }
  }),
]
