'use strict'

/** The double against the official client, and its requests against ours. */

const { createNorthflankProvider } = require('vibekit-native')
const { providerClient } = require('../../../testing/provider-clients')
const { startDouble } = require('../support/double')

const KEY = 'nf-key-000000'
const PARAMETERS = { projectId: 'project', serviceId: 'sandbox-1' }

let double, sdk

beforeAll(async () => {
  double = await startDouble('northflank')
  sdk = await providerClient('northflank')
}, 600_000)

beforeEach(() => double.requests())

async function clientWith(token) {
  const context = new sdk.ApiClientInMemoryContextProvider()
  await context.addContext({ name: 'test', token, host: double.url })
  return new sdk.ApiClient(context, { throwErrorOnHttpErrorCode: true })
}

/** What upstream's provider asks for. */
async function life(client) {
  await client.create.service.deployment({
    parameters: { projectId: 'project' },
    data: {
      name: 'sandbox-1',
      billing: { deploymentPlan: 'nf-compute-200' },
      deployment: { instances: 0, external: { imagePath: 'ubuntu:22.04' }, storage: { ephemeralStorage: { storageSize: 2048 } } },
      runtimeEnvironment: { GREETING: 'hello' },
    },
  })
  await client.create.volume({
    parameters: { projectId: 'project' },
    data: {
      name: 'Data-sandbox-1',
      mounts: [{ containerMountPath: '/vibe0' }],
      spec: { accessMode: 'ReadWriteMany', storageClassName: 'ssd', storageSize: 10240 },
      attachedObjects: [{ id: 'sandbox-1', type: 'service' }],
    },
  })
  await client.scale.service({ parameters: PARAMETERS, data: { instances: 1 } })
  for (;;) {
    const { data } = await client.get.service({ parameters: PARAMETERS })
    if (data.status.deployment.status === 'COMPLETED') return
  }
}

const remove = (client) => client.delete.service({ parameters: PARAMETERS, options: { delete_child_objects: true } })

test('creates, runs, opens ports and deletes', async () => {
  const client = await clientWith(KEY)
  await life(client)
  const session = await client.exec.execServiceSession(PARAMETERS, { shell: 'bash -c', command: 'echo $GREETING; echo oops >&2; exit 3' })
  let [out, err] = ['', '']
  session.stdOut.on('data', (chunk) => (out += chunk))
  session.stdErr.on('data', (chunk) => (err += chunk))
  const result = await session.waitForCommandResult()
  expect(result).toMatchObject({ exitCode: 3, status: 'Failure' })
  expect([out, err]).toEqual(['hello\n', 'oops\n'])

  const port = (number) => ({ name: `p-${number}`, internalPort: number, public: true, protocol: 'HTTP' })
  await client.update.service.ports({ parameters: PARAMETERS, data: { ports: [port(3000)] } })
  await client.update.service.ports({ parameters: PARAMETERS, data: { ports: [port(4000)] } })
  const { data } = await client.get.service.ports({ parameters: PARAMETERS })
  // The list replaces the one before.
  expect(data.ports.map((one) => one.internalPort)).toEqual([4000])

  await remove(client)
  expect(await double.leftovers()).toEqual([])
}, 60_000)

test('a volume outlives its service, unless it is to go too', async () => {
  const client = await clientWith(KEY)
  await life(client)
  await client.delete.service({ parameters: PARAMETERS })
  expect(await double.leftovers()).toEqual(['volume data-sandbox-1'])
  await client.delete.volume({ parameters: { projectId: 'project', volumeId: 'data-sandbox-1' } })
  expect(await double.leftovers()).toEqual([])
})

test('is told what is wrong', async () => {
  const stranger = await clientWith('wrong')
  await expect(stranger.get.service({ parameters: PARAMETERS })).rejects.toMatchObject({ status: 401 })
  const client = await clientWith(KEY)
  await expect(client.get.service({ parameters: PARAMETERS })).rejects.toMatchObject({ status: 404 })
})

test('ours asks for a sandbox as the official client does', async () => {
  const client = await clientWith(KEY)
  await life(client)
  await remove(client)
  const official = await double.requests()
  const provider = createNorthflankProvider({ apiKey: KEY, projectId: 'project', apiUrl: double.url, image: 'ubuntu:22.04' })
  const sandbox = await provider.create({ GREETING: 'hello' }, undefined, '/vibe0')
  const id = sandbox.sandboxId
  await sandbox.kill()
  const native = (await double.requests()).map((one) => JSON.parse(JSON.stringify(one).replaceAll(id, 'sandbox-1')))
  expect(id).toMatch(/^sandbox-[0-9a-f]{12}$/)
  for (const [method, path] of [
    ['POST', '/v1/projects/project/services/deployment'],
    ['POST', '/v1/projects/project/volumes'],
    ['POST', '/v1/projects/project/services/sandbox-1/scale'],
    ['GET', '/v1/projects/project/services/sandbox-1'],
    ['DELETE', '/v1/projects/project/services/sandbox-1'],
  ]) {
    const [one, other] = [native, official].map((list) => list.find((request) => request.method === method && request.path === path))
    expect(one.headers.authorization).toBe(other.headers.authorization)
    expect(one.query).toEqual(other.query)
    // Ours has one variable more.
    if (one.body.runtimeEnvironment) delete one.body.runtimeEnvironment.VIBEKIT_WORKING_DIRECTORY
    expect(one.body).toEqual(other.body)
  }
}, 60_000)
