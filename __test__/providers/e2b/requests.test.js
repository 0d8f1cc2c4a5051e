'use strict'

/** The requests of the published client and ours, for the same work, where they should agree. */

const { startDouble } = require('../support/double')
const { KEY, official, ours } = require('./clients')

/** Of equal requests equal; they say where something goes and who asks for it. */
const HEADERS = [
  'x-api-key', 'x-access-token', 'authorization', 'content-type', 'connect-protocol-version',
  'e2b-sandbox-id', 'e2b-sandbox-port',
]

/** A request as it compares: ids and tokens without what a sandbox has for itself. */
function normal({ method, path, query, headers, body }) {
  const id = /i[0-9a-f]{20}/g
  const plain = (text) => text.replace(id, '<id>').replace(/envd-token-[0-9a-f]+/, '<token>')
  const kept = HEADERS.filter((name) => headers[name] !== undefined).map((name) => [name, plain(headers[name])])
  return { method, path: plain(path), query, headers: Object.fromEntries(kept), body: plain(body) }
}

/** The JSON a body is; of a stream's, the message after its head of five bytes. */
const json = ({ headers, body }) => (/json$/.test(headers['content-type']) ? JSON.parse(body.slice(body.indexOf('{'))) : undefined)

let double

beforeAll(async () => {
  double = await startDouble('e2b')
}, 600_000)

/** What each of the two asks for some work on a sandbox of its own, the preparations left out. */
async function both(work) {
  const told = []
  for (const client of [official(double), ours(double)]) {
    const sandbox = await client.create({ A: 'b' })
    if (!client.has.tree) await sandbox.run('mkdir -p /vibe0')
    await double.requests()
    await work(sandbox, client)
    told.push(await double.requests())
    await double.tell('vanish', sandbox.id)
  }
  return told
}

/** The one request of each to a path. */
const only = (lists, path, method = 'POST') =>
  lists.map((list) => {
    const found = list.filter((one) => one.method === method && (typeof path === 'string' ? one.path === path : path.test(one.path)))
    expect(found.map((one) => one.path)).toHaveLength(1)
    return { ...normal(found[0]), json: json(found[0]) }
  })

test('making a sandbox', async () => {
  const lists = []
  for (const client of [official(double), ours(double)]) {
    await double.requests()
    const sandbox = await client.create({ A: 'b', C: 'd' }, { metadata: { team: 'x' } })
    lists.push(await double.requests())
    await sandbox.kill()
  }
  const [theirs, mine] = only(lists, '/v2/sandboxes')
  // Ours has two labels more, by which it finds what it made.
  const { metadata, ...rest } = mine.json
  expect(rest).toEqual({ templateID: theirs.json.templateID, timeout: theirs.json.timeout, envVars: theirs.json.envVars })
  expect(metadata).toMatchObject(theirs.json.metadata)
  expect(Object.keys(metadata).filter((name) => !(name in theirs.json.metadata)).every((name) => name.startsWith('vibekit-native'))).toBe(true)
  expect(mine.headers).toEqual(theirs.headers)
  expect(theirs.headers).toMatchObject({ 'x-api-key': KEY, 'content-type': 'application/json' })
})

test('a command', async () => {
  const lists = await both((sandbox) => sandbox.run('echo "$A"', { env: { E: 'f' }, cwd: '/tmp', timeoutMs: 30_000 }))
  const [theirs, mine] = only(lists, '/process.Process/Start')
  expect(mine.headers).toEqual(theirs.headers)
  // Ours has the stream say more often that nothing is on its way: by that it knows the end of a command whose output is held open.
  const pings = lists.map((list) => list.find((one) => one.path === '/process.Process/Start').headers['keepalive-ping-interval'])
  expect(pings).toEqual(['50', '5'])
  // Ours carries a mark, by which its whole tree is found.
  const { VIBEKIT_RUN, ...envs } = mine.json.process.envs
  expect(VIBEKIT_RUN).toMatch(/^[a-z0-9-]+$/i)
  expect({ ...mine.json, process: { ...mine.json.process, envs } }).toEqual(theirs.json)
  // One that nobody follows any more ends by itself, a while after its limit.
  const limit = (list) => Number(list.find((one) => one.path === '/process.Process/Start').headers['connect-timeout-ms'])
  expect(limit(lists[0])).toBe(30_000)
  expect(limit(lists[1])).toBeGreaterThan(30_000)
})

test('another user', async () => {
  const lists = await both((sandbox) => sandbox.as('root'))
  const [theirs, mine] = only(lists, '/process.Process/Start')
  expect(mine.headers).toEqual(theirs.headers)
  expect(theirs.headers.authorization).toBe(`Basic ${Buffer.from('root:').toString('base64')}`)
})

test('files', async () => {
  const lists = await both(async (sandbox) => {
    await sandbox.write('/tmp/deep/file é', Buffer.from('content'))
    await sandbox.read('/tmp/deep/file é')
    await sandbox.list('/tmp/deep')
  })
  for (const method of ['POST', 'GET']) {
    const [theirs, mine] = only(lists, '/files', method)
    expect([mine.path, new URLSearchParams(mine.query)]).toEqual([theirs.path, new URLSearchParams(theirs.query)])
    const { 'content-type': kind, ...headers } = theirs.headers
    // The client sends a form, ours the bytes as they are, where the daemon takes them.
    expect(mine.headers).toEqual(method === 'POST' ? { ...headers, 'content-type': 'application/octet-stream' } : theirs.headers)
    expect(kind === undefined || /^multipart|^application\/(octet-stream|json)/.test(kind)).toBe(true)
  }
  const [theirs, mine] = only(lists, '/filesystem.Filesystem/ListDir')
  expect(mine.headers).toEqual(theirs.headers)
  expect(mine.json.path).toBe(theirs.json.path)
})

test('pausing, attaching and ending', async () => {
  const lists = await both(async (sandbox, client) => {
    await sandbox.pause()
    const again = await client.connect(sandbox.id)
    await again.kill()
  })
  for (const [path, method] of [[/\/pause$/, 'POST'], [/\/connect$/, 'POST'], [/^\/sandboxes\/[^/]+$/, 'DELETE']]) {
    const [theirs, mine] = only(lists, path, method)
    expect({ ...mine, body: null }).toEqual({ ...theirs, body: null })
  }
})

test('looking for a sandbox by its label', async () => {
  const { Sandbox } = require('e2b')
  // The answer is lost; ours looks for what it made.
  await double.requests()
  await double.tell('answer', { method: 'POST', path: '/v2/sandboxes', status: 0, after: true })
  const sandbox = await ours(double).create()
  const mine = (await double.requests()).find((one) => one.method === 'GET' && one.path === '/v2/sandboxes')
  const label = decodeURIComponent(decodeURIComponent(new URLSearchParams(mine.query).get('metadata'))).split('=')
  const page = Sandbox.list({ apiKey: KEY, apiUrl: double.url, query: { metadata: Object.fromEntries([label]), state: ['running', 'paused'] } })
  const found = await page.nextItems()
  expect(found.map((one) => one.sandboxId)).toEqual([sandbox.id])
  const theirs = (await double.requests()).find((one) => one.method === 'GET' && one.path === '/v2/sandboxes')
  const parameters = ({ query }) => Object.fromEntries([...new URLSearchParams(query)].filter(([name]) => name !== 'limit'))
  expect(parameters(mine)).toEqual(parameters(theirs))
  await sandbox.kill()
})

test('nobody is told that we were the published client', async () => {
  const [, mine] = await both(async (sandbox) => {
    await sandbox.run('true')
    await sandbox.kill()
  })
  expect(mine.length).toBeGreaterThan(1)
  for (const { headers } of mine) {
    expect(headers['user-agent']).toMatch(/^vibekit-native\//)
    expect(headers.publisher).toBeUndefined()
  }
})
