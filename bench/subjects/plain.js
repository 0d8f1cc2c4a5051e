'use strict'

/** No SDK and no sandbox: `child_process` alone, with strings. The floor for what runs processes. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { runProcess } = require('./process-provider')

/** @returns {Promise<import('./kit').Shell>} */
async function shell() {
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-bench-'))
  /** @type {Array<(text: string) => void>} */
  const listeners = []
  const tell = (/** @type {string} */ text) => {
    for (const listener of listeners) listener(text)
  }
  return {
    run: (command, options) => runProcess(command, { keep: false, ...options, cwd, onStdout: tell, onStderr: tell }),
    onText: (listener) => listeners.push(listener),
    end: async () => fs.rmSync(cwd, { recursive: true, force: true }),
  }
}

module.exports = { name: 'plain', shell }
