'use strict'

/**
 * The TypeScript SDK with its one costly habit mended: a buffer that looks at every character once. What a fix in plain
 * JavaScript would give, so that nobody takes a better algorithm for a faster language.
 */

const { AGENT, processShell } = require('./kit')
const { LinearBuffer } = require('./linear-buffer')

const load = async () => {
  const { VibeKit } = await import('@vibe-kit/sdk')
  return { VibeKit: mend(VibeKit) }
}

/** @param {any} VibeKit */
function mend(VibeKit) {
  return class LinearVibeKit extends VibeKit {
    /** @param {string} command @param {{ timeoutMs?: number, background?: boolean }} [options] */
    async executeCommand(command, { timeoutMs = 3600000, background = false } = {}) {
      if (!this.agent) await this.initializeAgent()
      const agent = this.agent
      const deliver = (/** @type {string} */ text) => this.emit('stdout', text)
      try {
        const sandbox = await agent.getSandbox()
        const id = sandbox.sandboxId
        if (!agent.config.sandboxId && id) deliver(`{"type": "start", "sandbox_id": "${id}"}`)
        await sandbox.commands.run(`mkdir -p ${agent.WORKING_DIR} || true`, { timeoutMs: 30000, background: false, onStdout() {} })
        const stdout = new LinearBuffer(deliver)
        const stderr = new LinearBuffer(deliver)
        const result = await sandbox.commands.run(`cd ${agent.WORKING_DIR} && ${command}`, {
          timeoutMs,
          background,
          onStdout: (/** @type {string} */ text) => stdout.append(text),
          onStderr: (/** @type {string} */ text) => stderr.append(text),
        })
        stdout.flush()
        stderr.flush()
        deliver(`{"type": "end", "sandbox_id": "${id}", "output": "${JSON.stringify(result)}"}`)
        return { sandboxId: id, ...result }
      } catch (error) {
        const message = `Failed to execute command: ${error instanceof Error ? error.message : String(error)}`
        this.emit('stderr', message)
        throw new Error(message, { cause: error })
      }
    }
  }
}

/** @param {object} provider */
async function kit(provider) {
  const { VibeKit } = await load()
  return new VibeKit().withAgent(AGENT).withSandbox(provider)
}

async function shell() {
  const { VibeKit } = await load()
  return processShell((provider) => new VibeKit().withAgent(AGENT).withSandbox(provider))
}

module.exports = { name: 'linear', load, kit, shell }
