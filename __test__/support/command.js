'use strict'

const { spawn } = require('node:child_process')

/**
 * Runs a program to its end.
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string, seconds: number }>}
 */
function command(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    options.started?.(child)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
      options.onStdout?.(text, child)
    })
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, seconds: (performance.now() - start) / 1000 }))
  })
}

/** As above; a program that fails throws with what it printed. */
async function succeed(program, args, options) {
  const result = await command(program, args, options)
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${result.code ?? result.signal}\n${result.stdout}\n${result.stderr}`)
  return result
}

module.exports = { command, succeed }
