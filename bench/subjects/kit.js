'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { processProvider } = require('./process-provider')

const AGENT = { type: 'codex', provider: 'openai', apiKey: 'sk-bench', model: 'gpt-5' }

/** A place where commands run.
 * @typedef {object} Shell
 * @property {(command: string, options?: object) => Promise<{ exitCode: number, stdout: string }>} run
 * @property {(listener: (text: string) => void) => void} onText  what commands print, as it comes
 * @property {() => Promise<void>} end
 */

/** Kits that log go quiet: the SDK prints the output of its `mkdir`. */
console.log = () => {}

/** @param {any} kit @param {() => void} [cleanUp] @returns {Shell} */
const shellOfKit = (kit, cleanUp) => ({
  run: (command, options) => kit.executeCommand(command, options),
  onText: (listener) => kit.on('stdout', listener),
  end: async () => {
    await kit.kill()
    cleanUp?.()
  },
})

/** A kit's shell over `child_process`, in a directory of its own. @param {(provider: object) => any} kit @returns {Shell} */
function processShell(kit) {
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-bench-'))
  return shellOfKit(kit(processProvider(cwd)).withWorkingDirectory(cwd), () => fs.rmSync(cwd, { recursive: true, force: true }))
}

module.exports = { AGENT, shellOfKit, processShell }
