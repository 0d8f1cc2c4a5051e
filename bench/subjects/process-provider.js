'use strict'

const { spawn } = require('node:child_process')

/**
 * Runs a shell command: what a careful author of a provider would write on `child_process`.
 * @param {string} command
 * @param {{ cwd?: string, timeoutMs?: number, keep?: boolean, onStdout?: (text: string) => void, onStderr?: (text: string) => void }} options
 * `keep: false`: the result does not hold the output
 * @returns {Promise<{ exitCode: number, stdout: string, stderr: string }>}
 */
function runProcess(command, { cwd, timeoutMs, keep = true, onStdout, onStderr }) {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', command], { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' })
    /** @type {string[]} */
    const stdout = []
    /** @type {string[]} */
    const stderr = []
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (keep) stdout.push(text)
      onStdout?.(text)
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      if (keep) stderr.push(text)
      onStderr?.(text)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ exitCode: code ?? (signal ? 137 : 1), stdout: stdout.join(''), stderr: stderr.join('') })
    })
  })
}

/** A provider whose sandbox is a directory of this machine; nothing is fenced. @param {string} cwd */
function processProvider(cwd) {
  const sandbox = {
    sandboxId: 'process-1',
    commands: {
      /** @param {string} command @param {object} options */
      run: (command, options) => runProcess(command, { ...options, cwd }),
    },
    kill: async () => {},
    pause: async () => {},
    getHost: async () => 'localhost',
  }
  return { create: async () => sandbox, resume: async () => sandbox }
}

module.exports = { runProcess, processProvider }
