'use strict'

const fs = require('node:fs')

/** Processes of this machine, by what /proc says. Empty elsewhere. @returns {number[]} */
function pids() {
  try {
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
  } catch {
    return []
  }
}

/** @param {number} pid @returns {string | undefined} the file it executes */
function program(pid) {
  try {
    return fs.readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

/** Processes in another process-id namespace than ours: what lives in sandboxes, of this benchmark or of others. */
function sandboxed() {
  const namespace = (/** @type {number | 'self'} */ pid) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/ns/pid`)
    } catch {
      return undefined
    }
  }
  const own = namespace('self')
  return pids().filter((pid) => ![undefined, own].includes(namespace(pid)))
}

/** Proportional share of resident memory. @param {number} pid @returns {number} KiB */
function proportional(pid) {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

module.exports = { pids, sandboxed, program, proportional }
