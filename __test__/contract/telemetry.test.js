'use strict'

/**
 * OpenTelemetry spans as a receiver gets them, decoded with the official schema. The table of what is sent is upstream's (its
 * configuration generation, of which no version is installable).
 */

const http = require('node:http')
const { opentelemetry } = require('@opentelemetry/otlp-transformer/build/src/generated/root')
const { VibeKit, TelemetryService } = require('vibekit-native')
const { succeed } = require('../support/command')
const { recordingProvider } = require('../support/provider')

const { ExportTraceServiceRequest } = opentelemetry.proto.collector.trace.v1

/** A receiver of OTLP on loopback. */
async function receiver() {
  const requests = []
  const server = http.createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    requests.push({ url: request.url, headers: request.headers, body: ExportTraceServiceRequest.decode(Buffer.concat(chunks)) })
    response.end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const spans = () => requests.flatMap(({ body }) => body.resourceSpans).flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans: all }) => all).map(plainSpan)
  return { requests, spans, endpoint: `http://127.0.0.1:${server.address().port}/v1/traces`, close: () => new Promise((resolve) => server.close(resolve)) }
}

const valueOf = ({ stringValue, intValue, boolValue, doubleValue }) =>
  stringValue ?? (intValue === null || intValue === undefined ? (boolValue ?? doubleValue) : Number(intValue))
const attributesOf = (all) => Object.fromEntries(all.map(({ key, value }) => [key, valueOf(value)]))
const plainSpan = ({ name, kind, attributes, events, status, parentSpanId, traceId }) => ({
  name, kind, status: status.code, message: status.message, parent: parentSpanId?.length ?? 0, trace: Buffer.from(traceId).toString('hex'),
  attributes: attributesOf(attributes), events: events.map((event) => [event.name, attributesOf(event.attributes)]),
})

let to
beforeEach(async () => (to = await receiver()))
afterEach(() => to.close())

const success = { exitCode: 0, stdout: 'out', stderr: '' }
const configured = (telemetry, script, more) =>
  new VibeKit({ agent: { type: 'codex', model: { apiKey: 'sk-canary-agent', name: 'gpt-5' } }, telemetry: { isEnabled: true, endpoint: to.endpoint, ...telemetry }, ...more })
    .withSandbox(recordingProvider(script))

test('a turn: its beginning, what its callbacks got, its end', async () => {
  const run = (line, { onStdout } = {}) => {
    onStdout?.('{"type":"message","text":"hello"}\n{"no":"type"}\nplain text')
    return success
  }
  const kit = configured({ serviceName: 'shop', headers: { 'X-Team': 'blue' } }, { run }, { sessionId: undefined })
  const updates = []
  await kit.generateCode({ prompt: 'Größe 😀', mode: 'ask', callbacks: { onUpdate: (text) => updates.push(text) } })
  await kit.dispose()

  const [{ url, headers, body }] = to.requests
  expect(url).toBe('/v1/traces')
  expect(headers).toMatchObject({ 'x-team': 'blue', 'content-type': 'application/x-protobuf' })
  const resource = attributesOf(body.resourceSpans[0].resource.attributes)
  expect(resource).toMatchObject({ 'service.name': 'shop', 'service.version': '1.0.0', 'process.runtime.name': 'nodejs', 'process.pid': String(process.pid) })
  expect(body.resourceSpans[0].scopeSpans[0].scope).toMatchObject({ name: 'vibekit', version: '1.0.0' })

  const spans = to.spans()
  expect(spans.map(({ name }) => name)).toEqual(['vibekit.start', ...updates.map(() => 'vibekit.stream'), 'vibekit.end'])
  expect(new Set(spans.map(({ trace }) => trace)).size).toBe(spans.length)
  const common = { 'vibekit.agent_type': 'codex', 'vibekit.mode': 'ask', 'vibekit.prompt_length': 'Größe 😀'.length, 'gen_ai.agent.name': 'codex' }
  for (const span of spans) {
    expect(span).toMatchObject({ kind: 1, status: 1, parent: 0, attributes: common })
    expect(span.attributes['vibekit.session_id']).toMatch(/^vibekit-\d{13}-[a-z0-9]{9}$/)
  }
  expect(spans[0].attributes).toMatchObject({ 'vibekit.event_type': 'start', model: 'gpt-5', hasHistory: false })
  expect(spans[0].events.map(([name]) => name)).toEqual(['operation_started'])
  const streams = spans.filter(({ name }) => name === 'vibekit.stream')
  expect(streams.map(({ events: [[, event]] }) => event['stream.data'])).toEqual(updates)
  expect(streams.map(({ attributes }) => attributes['vibekit.stream_data_length'])).toEqual(updates.map(({ length }) => length))
  expect(streams.map(({ attributes }) => attributes.dataType)).toEqual(['start', 'message', 'unknown', 'stream_output', 'end'])
  expect(spans.at(-1).attributes).toMatchObject({
    'vibekit.sandbox_id': 'sbx-1', exitCode: 0, stdoutLength: 3, stderrLength: 0,
    'gen_ai.operation.name': 'invoke_agent', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-5', 'gen_ai.conversation.id': 'sbx-1',
  })
})

test('a command, in mode ask, and one that fails', async () => {
  const run = (line) => (line.endsWith('bad') ? Promise.reject(new Error('boom')) : success)
  const kit = configured({}, { run })
  await kit.executeCommand('good')
  await kit.executeCommand('bad', { callbacks: { onError: () => {} } }).catch(() => {})
  await kit.dispose()
  const spans = to.spans()
  expect(spans.map(({ name }) => name)).toEqual(['vibekit.start', 'vibekit.end', 'vibekit.start', 'vibekit.error', 'vibekit.error'])
  for (const { attributes } of spans) expect(attributes).toMatchObject({ commandType: 'execute', 'vibekit.mode': 'ask' })
  expect(spans[0].attributes['vibekit.prompt_length']).toBe('good'.length)
  const [own, always] = spans.slice(-2)
  expect(own).toMatchObject({ status: 2, attributes: { source: 'codex_agent', errorType: 'Error' } })
  expect(always).toMatchObject({ status: 2, message: 'Command execution failed: Failed to execute command: boom', attributes: { source: 'vibekit', 'error.type': 'PROVIDER_FAILED' } })
  expect(always.events.map(([name]) => name)).toEqual(['exception', 'error_occurred'])
})

test('without callbacks there are no messages, and other methods are not measured', async () => {
  const kit = configured({}, { run: (_line, { onStdout } = {}) => (onStdout?.('{"a":1}'), success) })
  await kit.executeCommand('x')
  await kit.runTests()
  await kit.getHost(1)
  await kit.pause()
  await kit.resume()
  await kit.kill()
  await kit.dispose()
  expect(to.spans().map(({ name }) => name)).toEqual(['vibekit.start', 'vibekit.end'])
})

test('secrets leave in no span', async () => {
  const secrets = ['sk-canary-agent', 'ghp_canary_token', 'canary-secret-value', 'canary-header']
  const text = secrets.join(' ')
  const run = (line, { onStdout } = {}) => {
    onStdout?.(`${JSON.stringify({ text })}\n${text}`)
    return line.includes('git') ? success : Promise.reject(new Error(text))
  }
  const kit = configured({ headers: { Authorization: 'canary-header' } }, { run }, { github: { token: 'ghp_canary_token', repository: 'o/r' }, secrets: { S: 'canary-secret-value' } })
  await kit.generateCode({ prompt: text, callbacks: { onUpdate: () => {}, onError: () => {} } }).catch(() => {})
  await kit.executeCommand(text, { callbacks: { onUpdate: () => {}, onError: () => {} } }).catch(() => {})
  await kit.dispose()
  expect(to.spans().length).toBeGreaterThan(4)
  expect(JSON.stringify(to.requests.map(({ body }) => body))).not.toMatch(/canary/)
  expect(JSON.stringify(to.spans())).not.toMatch(/canary/)
})

test('two objects send to their own receivers', async () => {
  const other = await receiver()
  try {
    const [one, two] = [configured({}, {}), configured({ endpoint: other.endpoint }, {})]
    await Promise.all([one.executeCommand('one'), two.executeCommand('three')])
    await Promise.all([one.dispose(), two.dispose()])
    expect(to.spans().map(({ attributes }) => attributes['vibekit.prompt_length'])).toEqual([3, 3])
    expect(other.spans().map(({ attributes }) => attributes['vibekit.prompt_length'])).toEqual([5, 5])
  } finally {
    await other.close()
  }
})

test('withTelemetry() does the same for fluent objects, in both spellings', async () => {
  for (const enabled of [{ enabled: true }, { isEnabled: true }]) {
    const kit = new VibeKit().withAgent({ type: 'claude', apiKey: 'k' }).withSandbox(recordingProvider())
      .withTelemetry({ ...enabled, endpoint: to.endpoint, sessionId: 'mine' })
    await kit.executeCommand('x')
    await kit.dispose()
  }
  expect(to.spans().map(({ attributes }) => attributes['vibekit.session_id'])).toEqual(['mine', 'mine', 'mine', 'mine'])
})

test.each([
  ['not enabled', { isEnabled: false }],
  ['without an endpoint', { endpoint: undefined }],
  ['with a ratio of 0', { samplingRatio: 0 }],
])('nothing is sent %s', async (_name, telemetry) => {
  const kit = configured(telemetry, {})
  await kit.executeCommand('x')
  await kit.dispose()
  expect(to.requests).toEqual([])
})

test('sampling is drawn once per object, all or nothing', async () => {
  let sampled = 0
  for (let n = 0; n < 60; n++) {
    const service = new TelemetryService({ isEnabled: true, endpoint: to.endpoint, samplingRatio: 0.5 })
    service.trackStart('codex', 'code', 'p')
    service.trackEnd('codex', 'code', 'p')
    const before = to.spans().length
    await service.shutdown()
    const sent = to.spans().length - before
    expect([0, 2]).toContain(sent)
    if (sent) sampled++
  }
  // Outside of these bounds once in ten thousand million runs.
  expect(sampled).toBeGreaterThan(5)
  expect(sampled).toBeLessThan(55)
})

test('TelemetryService on its own', async () => {
  const service = new TelemetryService({ isEnabled: true, endpoint: to.endpoint, resourceAttributes: { team: 'blue' } }, 'session')
  service.trackStart('codex', 'code', 'prompt', { model: 'm', skipped: undefined, deep: { a: [1] } })
  service.trackStream('codex', 'code', 'prompt', '{"type":"git"}', 'sbx', 'o/r', { more: 1 })
  service.trackEnd('codex', 'code', 'prompt', 'sbx', 'o/r')
  service.trackError('codex', 'code', 'prompt', 'bad', { source: 'mine', errorType: 'TypeError' })
  await service.shutdown()
  service.trackStart('codex', 'code', 'after the end')
  await service.shutdown()
  const spans = to.spans()
  expect(spans.map(({ name }) => name)).toEqual(['vibekit.start', 'vibekit.stream', 'vibekit.end', 'vibekit.error'])
  expect(spans[0].attributes).toMatchObject({ 'vibekit.session_id': 'session', model: 'm', deep: '{"a":[1]}' })
  expect(Object.keys(spans[0].attributes)).not.toContain('skipped')
  expect(spans[1].attributes).toMatchObject({ dataType: 'git', 'vibekit.repo_url': 'o/r', more: 1 })
  expect(spans[3].attributes).toMatchObject({ source: 'mine', errorType: 'TypeError' })
})

// Processes of their own: a test runner's `process` does not hear warnings.
describe('a receiver that fails', () => {
  const script = `
    const { VibeKit } = require('vibekit-native')
    const provider = { create: async () => ({ sandboxId: 's', commands: { run: async () => ({ exitCode: 0, stdout: '', stderr: '' }) } }) }
    const kit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, telemetry: { isEnabled: true, endpoint: process.env.ENDPOINT, timeout: 500 } }).withSandbox(provider)
    kit.executeCommand('x').then(async ({ exitCode }) => {
      await kit.dispose()
      process.stdout.write(String(exitCode))
    })`

  test.each([
    ['nobody listens', 'http://127.0.0.1:1/', /VibeKitTelemetryWarning: Telemetry: 2 spans were not taken/g],
    ['no URL', 'nonsense', /VibeKitTelemetryWarning: telemetry\.endpoint/g],
  ])('costs no call, and is one warning: %s', async (_name, endpoint, warning) => {
    const { stdout, stderr } = await succeed(process.execPath, ['--eval', script], { cwd: require('node:path').join(__dirname, '../..'), env: { ...process.env, ENDPOINT: endpoint } })
    expect(stdout).toBe('0')
    expect(stderr.match(warning)).toHaveLength(1)
  })
})

describe('the end of a process', () => {
  const script = (ending) => `
    const { VibeKit } = require('vibekit-native')
    const provider = { create: async () => ({ sandboxId: 's', commands: { run: async () => ({ exitCode: 0, stdout: '', stderr: '' }) } }) }
    const kit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, telemetry: { isEnabled: true, endpoint: process.env.ENDPOINT } }).withSandbox(provider)
    kit.executeCommand('x').then(() => { ${ending} })`
  const run = (ending, endpoint) => succeed(process.execPath, ['--eval', script(ending)], { cwd: require('node:path').join(__dirname, '../..'), env: { ...process.env, ENDPOINT: endpoint } })

  test.each([['by itself', ''], ['by process.exit()', 'process.exit(0)']])('%s sends what is left', async (_name, ending) => {
    await run(ending, to.endpoint)
    expect(to.spans().map(({ name }) => name)).toEqual(['vibekit.start', 'vibekit.end'])
  })

  test('does not wait for a receiver that says nothing', async () => {
    const silent = require('node:net').createServer(() => {})
    await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { seconds } = await run('process.exit(0)', `http://127.0.0.1:${silent.address().port}/`)
    silent.close()
    // Two seconds is the limit; starting Node.js is the rest.
    expect(seconds).toBeLessThan(10)
  })
})
