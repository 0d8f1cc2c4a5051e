'use strict'

/**
 * A sandbox provider in JavaScript over this machine's own shell, as the simplest third party would write it: each sandbox is
 * a folder, its environment that of `create()`. For tests that need real commands.
 */

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/**
 * @param {object} [options]
 * @param {string} [options.shell] `sh`, `bash`, `dash`
 * @param {boolean} [options.rejects] reject when a command fails, as E2B does, instead of resolving with its code
 * @param {(command: string, pid: number) => void} [options.onCommand] is told of each process
 */
function shellProvider({ shell = 'bash', rejects = false, onCommand } = {}) {
  /** @type {Array<{ command: string, options: Record<string, any> }>} */
  const commands = []
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-shell-'))
  /** @param {Record<string, unknown>} envs @param {string} sandboxId */
  const instance = (envs, sandboxId) => ({
    sandboxId,
    commands: {
      /** @param {string} command @param {Record<string, any>} options */
      run(command, options) {
        commands.push({ command, options })
        return new Promise((resolve, reject) => {
          const env = { PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', ...envs }
          const child = spawn(shell, ['-c', command], { cwd: home, env: /** @type {any} */ (env), stdio: ['ignore', 'pipe', 'pipe'] })
          onCommand?.(command, /** @type {number} */ (child.pid))
          const output = { stdout: '', stderr: '' }
          for (const [name, callback] of /** @type {const} */ ([['stdout', 'onStdout'], ['stderr', 'onStderr']])) {
            child[name].setEncoding('utf8').on('data', (chunk) => {
              output[name] += chunk
              options?.[callback]?.(chunk)
            })
          }
          child.on('error', reject)
          child.on('close', (code) => {
            const result = { exitCode: code ?? 1, ...output }
            if (rejects && code !== 0) reject(Object.assign(new Error(`exit status ${code}`), result))
            else resolve(result)
          })
        })
      },
    },
    async kill() {},
    async pause() {},
    /** @param {number} port */
    async getHost(port) {
      return `localhost:${port}`
    },
  })
  return {
    commands,
    home,
    /** @param {Record<string, unknown>} envs */
    create: async (envs) => instance(envs, 'shell-1'),
    /** @param {string} id */
    resume: async (id) => instance({}, id),
    clean: () => fs.rmSync(home, { recursive: true, force: true }),
  }
}

module.exports = { shellProvider }
