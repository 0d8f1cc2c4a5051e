'use strict'

/** A provider on plain child processes, as somebody would write one: the example of docs/providers.md. */

const { spawn } = require('node:child_process')

/** @param {object} [faults] what to do wrong, for tests of the suite itself */
function processProvider(faults = {}) {
  const sandboxes = new Map()
  let made = 0

  function instance(sandboxId, envs) {
    const groups = new Set()
    let killed = false
    const end = (child) => {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    return {
      sandboxId,
      groups,
      commands: {
        run(command, { timeoutMs = 0, background = false, onStdout, onStderr } = {}) {
          if (killed) return Promise.reject(new Error('The sandbox was killed'))
          const child = spawn('sh', ['-c', command], { env: { ...process.env, ...envs }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
          groups.add(child)
          if (background) return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
          return new Promise((resolve, reject) => {
            const output = { stdout: '', stderr: '' }
            for (const [name, listener] of [['stdout', onStdout], ['stderr', faults.mixed ? onStdout : onStderr]]) {
              const stream = child[faults.mixed ? 'stdout' : name]
              if (!faults.cut) stream.setEncoding('utf8')
              stream.on('data', (text) => {
                output[name] += text
                if (!faults.late) listener?.(String(text))
              })
            }
            const timer = timeoutMs > 0 ? setTimeout(() => (faults.tree ? child.kill() : end(child)), timeoutMs) : undefined
            child.on('error', reject).on('close', (code) => {
              clearTimeout(timer)
              if (!faults.tree) groups.delete(child)
              if (faults.late) onStdout?.(output.stdout)
              resolve({ exitCode: faults.zero ? 0 : (code ?? 137), ...output })
            })
          })
        },
      },
      async kill() {
        killed = true
        groups.forEach(end)
        if (!faults.leak) sandboxes.delete(sandboxId)
      },
      async pause() {},
      async getHost(port) {
        return `localhost:${port}`
      },
    }
  }

  return {
    sandboxes,
    async create(envs) {
      const sandbox = instance(`process-${++made}`, envs)
      sandboxes.set(sandbox.sandboxId, sandbox)
      return sandbox
    },
    async resume(id) {
      const sandbox = sandboxes.get(id)
      if (!sandbox) throw new Error(`There is no sandbox ${id}`)
      return sandbox
    },
  }
}

module.exports = { processProvider }
