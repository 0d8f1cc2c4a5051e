'use strict'

/** Calls on a branch. */

const { command, refusing, success, observe, outcome, scenarios, deviation } = require('../harness')

const on = (sdk, script, branch = 'feature') => command(sdk, script, { options: { branch } })

module.exports = [
  ...scenarios('branch', {
    'that exists': (sdk) => on(sdk),
    'that does not': (sdk) => on(sdk, { run: (line) => (/git checkout feature$/.test(line) ? Promise.reject(new Error('none')) : success) }),
    'that cannot be made': (sdk) => on(sdk, refusing('git checkout')),
    'outside of a repository': (sdk) => on(sdk, refusing('git rev-parse')),
    'with slashes and dots': (sdk) => on(sdk, undefined, 'feat/a.b_c-1'),
    'with a limit and in the background': (sdk) => command(sdk, undefined, { options: { branch: 'b', timeoutMs: 5, background: true } }),
    'of a resumed session': (sdk) => command(sdk, undefined, { options: { branch: 'b' }, configure: (kit) => kit.withSession('s') }),
    'is told to the agent': async (sdk) => {
      const { kit } = observe(sdk)
      await kit.executeCommand('x', { branch: 'one' })
      await kit.executeCommand('x')
      return [kit.agent.getCurrentBranch(), kit.agent.currentBranch]
    },
    'in another directory': (sdk) => command(sdk, undefined, { options: { branch: 'b' }, configure: (kit) => kit.withWorkingDirectory('/srv/app') }),
    'then the command fails': async (sdk) => {
      const { kit, events } = observe(sdk, { run: (line) => (line.endsWith('bad') ? Promise.reject(new Error('bad')) : success) })
      return [await outcome(kit.executeCommand('bad', { branch: 'b' })), events]
    },
  }),
  deviation('D15', 'a provider that resolves with a code does not hide a branch that is not there', (sdk) => on(sdk, { run: (line) => (/git checkout feature$/.test(line) ? { exitCode: 1, stdout: '', stderr: 'none' } : success) }), (ours, theirs, expect) => {
    const lines = ({ calls }) => calls.filter(([name]) => name === 'run').map(([, line]) => line)
    expect(lines(ours)).toContain('cd /vibe0 && git checkout -b feature')
    expect(lines(theirs)).not.toContain('cd /vibe0 && git checkout -b feature')
  }),
  deviation('D12', 'a branch cannot run anything', (sdk) => on(sdk, undefined, 'x; touch $(pwned)'), (ours, _theirs, expect) => {
    const { execFileSync } = require('node:child_process')
    const line = ours.calls.map(([, text]) => text).find((text) => /git checkout/.test(text))
    for (const shell of ['bash', 'dash']) {
      const words = execFileSync(shell, ['-c', `cd() { :; }; git() { printf '%s\\n' "$@"; }; ${line}`], { encoding: 'utf8' })
      expect(words).toBe('checkout\nx; touch $(pwned)\n')
    }
  }),
]
