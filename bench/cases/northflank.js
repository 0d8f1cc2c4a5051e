'use strict'

const { defineCase } = require('../lib/case')
const { startDouble, remoteFigures, REMOTE_FIGURES } = require('../lib/cloud')

const KEY = 'nf-key-000000'

module.exports = defineCase({
  title: 'Northflank, over its double',
  note: 'official: @northflank/js-client 0.9.5, making a service with its volume and running commands in it.',
  subjects: ['ours', 'official'],
  rounds: 3,
  limitS: 300,
  figures: REMOTE_FIGURES,
  async measure(subject, { quick }) {
    const double = await startDouble('northflank')
    await double.tell('settings', { states: ['COMPLETED'] })
    const make = subject.name === 'ours' ? ours(await subject.load(), double.url) : await official(subject, double.url)
    const figures = await remoteFigures(make, quick)
    double.end()
    return figures
  },
})

/** @param {any} module @param {string} apiUrl */
function ours(module, apiUrl) {
  const provider = module.createNorthflankProvider({ apiKey: KEY, projectId: 'project', apiUrl, image: 'ubuntu:22.04', workingDirectory: '/vibe0' })
  return async () => {
    const sandbox = await provider.create(undefined, undefined, '/vibe0')
    return {
      run: (/** @type {string} */ command, /** @type {(text: string) => void} */ onStdout) => sandbox.commands.run(command, { onStdout, maxOutputBytes: 0 }),
      end: () => sandbox.kill(),
    }
  }
}

/** @param {any} subject @param {string} host */
async function official(subject, host) {
  const { ApiClient, ApiClientInMemoryContextProvider } = await subject.client('northflank')
  const context = new ApiClientInMemoryContextProvider()
  await context.addContext({ name: 'bench', token: KEY, host })
  const client = new ApiClient(context, { throwErrorOnHttpErrorCode: true })
  let number = 0
  return async () => {
    const id = `sandbox-${++number}`
    const parameters = { projectId: 'project', serviceId: id }
    await client.create.service.deployment({
      parameters: { projectId: 'project' },
      data: {
        name: id,
        billing: { deploymentPlan: 'nf-compute-200' },
        deployment: { instances: 0, external: { imagePath: 'ubuntu:22.04' }, storage: { ephemeralStorage: { storageSize: 2048 } } },
      },
    })
    await client.create.volume({
      parameters: { projectId: 'project' },
      data: {
        name: `Data-${id}`,
        mounts: [{ containerMountPath: '/vibe0' }],
        spec: { accessMode: 'ReadWriteMany', storageClassName: 'ssd', storageSize: 10240 },
        attachedObjects: [{ id, type: 'service' }],
      },
    })
    await client.scale.service({ parameters, data: { instances: 1 } })
    await client.get.service({ parameters })
    return {
      run: async (/** @type {string} */ command, /** @type {(text: string) => void} */ onText) => {
        const session = await client.exec.execServiceSession(parameters, { shell: 'bash -c', command })
        session.stdOut.on('data', (/** @type {Buffer} */ chunk) => onText(chunk.toString()))
        await session.waitForCommandResult()
      },
      end: () => client.delete.service({ parameters, options: { delete_child_objects: true } }),
    }
  }
}
