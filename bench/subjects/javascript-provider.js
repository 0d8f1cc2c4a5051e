'use strict'

/**
 * A provider written in JavaScript that has its output ready: what is measured over it is the SDK alone.
 * @param {{ chunks?: readonly string[], perTurn?: number }} [output] what every command but `mkdir` prints, and how many
 * characters of it in one turn of the event loop (default 64 Ki)
 */
function javascriptProvider({ chunks = [], perTurn = 64 * 1024 } = {}) {
  /** @param {string} command @param {{ onStdout?: (text: string) => void }} options */
  async function run(command, { onStdout }) {
    if (!command.startsWith('mkdir') && onStdout) {
      let room = perTurn
      for (const chunk of chunks) {
        if (room <= 0) {
          await new Promise((resolve) => setImmediate(resolve))
          room = perTurn
        }
        onStdout(chunk)
        room -= chunk.length
      }
    }
    return { exitCode: 0, stdout: '', stderr: '' }
  }
  const sandbox = {
    sandboxId: 'sandbox-1',
    commands: { run },
    kill: async () => {},
    pause: async () => {},
    getHost: async () => 'localhost',
  }
  return { create: async () => sandbox, resume: async () => sandbox }
}

module.exports = { javascriptProvider }
