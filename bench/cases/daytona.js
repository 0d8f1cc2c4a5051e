'use strict'

const { defineCase } = require('../lib/case')
const { startDouble, remoteFigures, REMOTE_FIGURES } = require('../lib/cloud')

module.exports = defineCase({
  title: 'Daytona, over its double',
  note: 'official: @daytonaio/sdk 0.218.0, following a command of a session. The double looks for output every 20 ms, as the real server does.',
  subjects: ['ours', 'official'],
  rounds: 3,
  limitS: 300,
  figures: REMOTE_FIGURES,
  async measure(subject, { quick }) {
    const double = await startDouble('daytona')
    await double.tell('settings', { states: ['started'] })
    const where = { apiKey: 'dtn_key', apiUrl: `${double.url}/api` }
    const make = subject.name === 'ours' ? ours(await subject.load(), where) : await official(subject, where)
    const figures = await remoteFigures(make, quick)
    double.end()
    return figures
  },
})

/** @param {any} module @param {object} where */
function ours(module, where) {
  const provider = module.createDaytonaProvider({ ...where, image: 'ubuntu:22.04' })
  return async () => {
    const sandbox = await provider.create()
    return {
      run: (/** @type {string} */ command, /** @type {(text: string) => void} */ onStdout) => sandbox.commands.run(command, { onStdout, maxOutputBytes: 0 }),
      end: () => sandbox.kill(),
    }
  }
}

/** @param {any} subject @param {object} where */
async function official(subject, where) {
  const { Daytona } = await subject.client('daytona')
  const client = new Daytona({ ...where, target: 'us', useDeprecatedPolling: true })
  return async () => {
    const sandbox = await client.create({ image: 'ubuntu:22.04' })
    await sandbox.process.createSession('one')
    return {
      run: async (/** @type {string} */ command, /** @type {(text: string) => void} */ onText) => {
        const { cmdId } = await sandbox.process.executeSessionCommand('one', { command, runAsync: true })
        await sandbox.process.getSessionCommandLogs('one', cmdId, onText, () => {})
      },
      end: () => sandbox.delete(),
    }
  }
}
