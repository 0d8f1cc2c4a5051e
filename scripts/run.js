'use strict'

/** Running other programs from scripts. */

const { spawn } = require('node:child_process')

/**
 * Runs a program. Its output is passed on as it comes, and kept if `keep` asks for it.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, keep?: 'stdout' | 'both', quiet?: boolean }} [options] `quiet`: what is kept is not passed on
 * @returns {Promise<{ code: number, output: string }>}
 */
function run(program, args, { cwd, env, keep, quiet } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: env ?? process.env,
      stdio: ['ignore', keep ? 'pipe' : 'inherit', keep === 'both' ? 'pipe' : 'inherit'],
    })
    /** @type {string[]} */
    const output = []
    for (const [stream, target] of /** @type {const} */ ([[child.stdout, process.stdout], [child.stderr, process.stderr]])) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output.push(text)
        if (!quiet) target.write(text)
      })
    }
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal) output.push(`\n${program} was ended by ${signal}\n`)
      resolve({ code: code ?? 1, output: output.join('') })
    })
  })
}

/** Ends the script with a message and no stack. @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

module.exports = { run, fail }
