'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** What figures depend on. */
function machine() {
  const cpus = os.cpus()
  const addon = fs.readdirSync(path.join(__dirname, '..', '..')).find((name) => name.endsWith('.node'))
  return {
    cores: cpus.length,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    user: process.getuid?.() === 0 ? 'root' : 'unprivileged',
    load: os.loadavg()[0],
    addonMb: addon ? fs.statSync(path.join(__dirname, '..', '..', addon)).size / 1024 / 1024 : null,
  }
}

/** @param {ReturnType<typeof machine>} of */
const describe = ({ cores, cpu, kernel, node, user, load, addonMb }) =>
  `${cores} cores (${cpu}), ${kernel}, Node.js ${node}, ${user}, load ${load.toFixed(1)}` +
  (addonMb === null ? ', no addon built' : `, addon ${addonMb.toFixed(1)} MiB`)

module.exports = { machine, describe }
