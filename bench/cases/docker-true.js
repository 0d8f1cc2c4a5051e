'use strict'

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')
const { startEngine } = require('../../scripts/engine')
const { defineCase } = require('../lib/case')
const { median, timed } = require('../lib/stats')

const IMAGE = 'vibekit-test:1'
const docker = promisify(execFile)

module.exports = defineCase({
  title: '`true` in a container',
  note: 'official: `docker exec`, the engine\'s own client. Each sample starts an engine of its own, which needs root and Debian\'s docker.io.',
  subjects: ['ours', 'official'],
  rounds: 3,
  limitS: 180,
  figures: [{ label: 'p50', of: 'trueMs', unit: 'ms', over: 'official', share: 1.1 }],
  async measure(subject, { quick }) {
    const engine = await startEngine()
    try {
      const { run, end } = subject.name === 'ours' ? await ours(await subject.load(), engine.address) : await official(engine.address)
      await timed(5, run)
      const trueMs = median(await timed(quick ? 20 : 60, run))
      await end()
      return { trueMs }
    } finally {
      await engine.stop()
    }
  },
})

/** @param {any} module @param {string} host */
async function ours(module, host) {
  const sandbox = await module.createDockerProvider({ host, image: IMAGE }).create()
  return { run: () => sandbox.commands.run('true'), end: () => sandbox.kill() }
}

/** @param {string} host */
async function official(host) {
  const client = (/** @type {string[]} */ ...args) => docker('docker', ['--host', host, ...args])
  await client('run', '--detach', '--name', 'bench', IMAGE, 'sleep', '100000')
  return { run: () => client('exec', 'bench', 'true'), end: () => client('rm', '--force', 'bench') }
}
