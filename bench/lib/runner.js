'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** @typedef {import('./case').Case} Case @typedef {import('./case').SubjectName} SubjectName */

/**
 * @typedef {object} Outcome
 * @property {Partial<Record<SubjectName, import('./case').Metrics[]>>} samples  one entry a round
 * @property {Partial<Record<SubjectName, string>>} failures  why a subject has no figures
 * @property {Partial<Record<SubjectName, true | string>>} checks  whether what arrived was what was sent
 */

/**
 * Runs one task of a case in a fresh process, with a state directory that goes with it.
 * @param {string} name @param {SubjectName} subject @param {'measure' | 'check'} task @param {Case} definition @param {import('./case').Run} run
 * @returns {Promise<{ ok: boolean, error?: string, metrics?: import('./case').Metrics }>}
 */
function sample(name, subject, task, definition, run) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-bench-home-'))
  const limit = (definition.limitS ?? 60) * (run.long ? 20 : 1)
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [...(definition.nodeOptions ?? []), path.join(__dirname, 'sample.js'), name, subject, task, JSON.stringify(run)],
      { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, VIBEKIT_HOME: home }, timeout: limit * 1000, killSignal: 'SIGKILL' },
    )
    let answer = ''
    let complaint = ''
    const stderr = child.stderr
    const channel = /** @type {import('node:stream').Readable} */ (child.stdio[3])
    stderr?.on('data', (data) => (complaint = (complaint + data).slice(-4096)))
    channel.on('data', (data) => (answer += data))
    child.on('error', (error) => resolve({ ok: false, error: error.message }))
    child.on('exit', (code, signal) => {
      const settle = () => {
        try {
          resolve(JSON.parse(answer))
        } catch {
          const end = signal ? `ended by ${signal}, its limit is ${limit} s` : `ended with code ${code}`
          resolve({ ok: false, error: `${end}${complaint && `: ${complaint.trim()}`}` })
        }
      }
      // The answer may still be in the pipe; that something the subject left behind holds the pipe open must not matter.
      if (channel.readableEnded) return settle()
      channel.once('end', settle)
      setTimeout(settle, 250).unref()
    })
  }).finally(() => fs.rmSync(home, { recursive: true, force: true }))
}

/**
 * Lets the subjects of a case take turns, round by round, and then checks what they deliver.
 * @param {string} name @param {Case} definition @param {import('./case').Run} run @param {SubjectName[]} subjects
 * @returns {Promise<Outcome>}
 */
async function runCase(name, definition, run, subjects) {
  /** @type {Outcome} */
  const outcome = { samples: {}, failures: {}, checks: {} }
  const rounds = run.quick ? (definition.quickRounds ?? 2) : (definition.rounds ?? 5)
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      if (outcome.failures[subject]) continue
      const { ok, error, metrics } = await sample(name, subject, 'measure', definition, run)
      if (ok && metrics) (outcome.samples[subject] ??= []).push(metrics)
      else {
        outcome.failures[subject] = error ?? 'no figures'
        delete outcome.samples[subject]
      }
    }
  }
  if (definition.check) {
    for (const subject of subjects) {
      if (outcome.failures[subject]) continue
      const { ok, error } = await sample(name, subject, 'check', definition, run)
      outcome.checks[subject] = ok ? true : (error ?? 'failed')
    }
  }
  definition.derive?.(outcome.samples)
  return outcome
}

module.exports = { runCase }
