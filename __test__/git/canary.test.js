'use strict'

/**
 * A token over a JavaScript provider, whose commands take nothing but a line: it is looked for everywhere it could be seen. Every
 * program the sandbox starts is recorded by `strace` where that is to be had, by git's own trace and by the provider in any case.
 */

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { git } = require('../../testing/git-server')
const { VibeKit, shellProvider, TOKEN, AGENT, reasonOf, world, folder } = require('./support')

const OTHER = 'ghs_9876543210otherOTHERotherOTHERother00'

let services
let work
let provider
let receiver
let spans

beforeEach(async () => {
  process.env.VIBEKIT_NO_DEPRECATION = '1'
  services = await world()
  work = folder()
  spans = []
  receiver = http.createServer(async (request, response) => {
    for await (const chunk of request) spans.push(chunk.toString('latin1'))
    response.end()
  })
  await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  work.clean()
  provider?.clean()
  await services.close()
  await new Promise((resolve) => receiver.close(resolve))
})

const repo = () => path.join(work.path, 'repo')
const pairOf = (token) => Buffer.from(`x-access-token:${token}`).toString('base64')

/** A shell that tells `strace` of every program it starts, if there is one that works. */
function tracingShell() {
  const traced = path.join(work.path, 'argv.txt')
  const shell = path.join(work.path, 'traced')
  const works = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
  const tracer = works ? `strace -f -q -s 100000 -e trace=execve -A -o '${traced}' ` : ''
  fs.writeFileSync(shell, `#!/bin/sh\nexec ${tracer}sh "$@"\n`, { mode: 0o755 })
  return { shell, traced }
}

/** Everything that can be seen of what a story does. The story is told the object it is about. */
async function seenOf(configure, story) {
  const { shell, traced } = tracingShell()
  provider = shellProvider({ shell })
  const trace = path.join(work.path, 'git.txt')
  const temporary = path.join(work.path, 'tmp')
  fs.mkdirSync(temporary)
  const secrets = { TMPDIR: temporary, GIT_TRACE: trace, GIT_TRACE2_EVENT: trace, GIT_TRACE_SETUP: trace }
  const bin = path.join(work.path, 'bin')
  fs.mkdirSync(bin)
  fs.writeFileSync(path.join(bin, 'claude'), '#!/bin/sh\nenv >"$HOME/agent-env.txt"\nprintf "%s\\n" "$*" >>"$HOME/agent-argv.txt"\n', { mode: 0o755 })
  const seen = []
  const kit = configure(
    { ...secrets, PATH: `${bin}:${process.env.PATH}` },
    { isEnabled: true, enabled: true, endpoint: `http://127.0.0.1:${receiver.address().port}/v1/traces` },
  ).withSandbox(provider)
  for (const name of ['stdout', 'stderr', 'update', 'error']) kit.on(name, (message) => seen.push(`${name} ${JSON.stringify(message)}`))
  const told = await story(kit)
  seen.push(`told ${JSON.stringify(told, (_key, value) => (value instanceof Error ? everything(value) : value))}`)
  await kit.dispose()
  for (const { command } of provider.commands) seen.push(`line ${command}`)
  for (const place of [work.path, provider.home]) for (const file of files(place)) seen.push(`${file} ${fs.readFileSync(file, 'latin1')}`)
  for (const request of services.server.requests) seen.push(`request ${request.url}`)
  for (const [url, init] of services.fetch.calls) seen.push(`fetch ${url} ${init.body} ${JSON.stringify({ ...init.headers, Authorization: '' })}`)
  seen.push(...spans.map((span) => `span ${span}`))
  expect(fs.readdirSync(temporary)).toEqual([])
  return { seen, traced: fs.existsSync(traced) ? fs.readFileSync(traced, 'utf8') : '' }
}

function expectNowhere({ seen }, tokens = [TOKEN]) {
  for (const token of tokens) {
    for (const secret of [token, pairOf(token)]) expect(seen.filter((text) => text.includes(secret)).map((text) => text.slice(0, 200))).toEqual([])
  }
}

const github = (token = TOKEN) => ({ token, repository: 'owner/repo' })
const fluent = (given) => (secrets, telemetry) =>
  new VibeKit().withAgent(AGENT).withSecrets(secrets).withWorkingDirectory(repo()).withGithub(given).withTelemetry(telemetry)

test('of withGithub(): cloned, pulled, pushed and used for a pull request', async () => {
  const all = await seenOf(fluent(github()), async (kit) => {
    await kit.generateCode({ prompt: 'x' })
    expect(fs.readFileSync(path.join(repo(), 'README.md'), 'utf8')).toBe('hello\n')
    services.server.git('owner/repo', 'branch', 'topic', 'main')
    await kit.generateCode({ prompt: 'y', branch: 'topic' })
    fs.writeFileSync(path.join(repo(), 'a.txt'), 'a\n')
    await kit.pushToBranch('topic')
    expect(services.server.git('owner/repo', 'show', 'topic:a.txt')).toBe('a\n')
    fs.writeFileSync(path.join(repo(), 'b.txt'), 'b\n')
    return kit.createPullRequest()
  })
  expectNowhere(all)
  expect(services.github.pulls).toHaveLength(1)
  expect(git(repo(), 'config', '--get', 'remote.origin.url').trim()).toBe(`${services.server.url}/owner/repo.git`)
  expect(spans.length).toBeGreaterThan(0)
  // The looking sees what is there to be seen.
  expect(all.seen.some((text) => text.includes('git push -u origin') || text.includes('git push origin'))).toBe(true)
  if (all.traced) expect(all.traced).toMatch(/execve\(".*git", \["git", "clone"/)
}, 120_000)

test('of a configuration', async () => {
  const configure = (secrets, telemetry) => new VibeKit({
    agent: { type: 'claude', model: { apiKey: AGENT.apiKey, name: 'm' } }, environment: {}, github: github(), workingDirectory: repo(), secrets, telemetry,
  })
  expectNowhere(await seenOf(configure, async (kit) => {
    await kit.generateCode({ prompt: 'x', mode: 'ask' })
    fs.writeFileSync(path.join(repo(), 'a.txt'), 'a\n')
    await kit.pushToBranch('topic')
    expect(services.server.git('owner/repo', 'show', 'topic:a.txt')).toBe('a\n')
  }))
}, 120_000)

test('of a session that is resumed, where nothing had it before', async () => {
  expectNowhere(await seenOf((secrets, telemetry) => fluent(github())(secrets, telemetry).withSession('known'), async (kit) => {
    await kit.cloneRepository('owner/repo')
    fs.writeFileSync(path.join(repo(), 'a.txt'), 'a\n')
    await kit.pushToBranch('topic')
    expect(services.server.git('owner/repo', 'show', 'topic:a.txt')).toBe('a\n')
  }))
}, 120_000)

test('among the secrets of a session that is resumed', async () => {
  const configure = (secrets) => new VibeKit().withAgent(AGENT).withSecrets({ ...secrets, GH_TOKEN: TOKEN }).withWorkingDirectory(repo()).withSession('known')
  expectNowhere(await seenOf(configure, async (kit) => {
    await kit.cloneRepository('owner/repo')
    expect(fs.existsSync(path.join(repo(), 'README.md'))).toBe(true)
    return reasonOf(kit.cloneRepository('owner/missing', path.join(work.path, 'other')))
  }))
}, 120_000)

test('that was changed since, in either way', async () => {
  expectNowhere(await seenOf(fluent(github(OTHER)), async (kit) => {
    const refused = await reasonOf(kit.cloneRepository('owner/repo'))
    kit.setGithubToken(TOKEN)
    await kit.cloneRepository('owner/repo', path.join(work.path, 'second'))
    expect(fs.existsSync(path.join(work.path, 'second/README.md'))).toBe(true)
    return refused
  }), [TOKEN, OTHER])
}, 120_000)

test.each([
  ['tells output to callbacks alone', (result) => ({ exitCode: result.exitCode })],
  ['has a terminal', (result) => ({ ...result, stdout: result.stdout.replaceAll('\n', '\r\n') })],
])('a provider that %s can be given a token', async (_name, change) => {
  provider = shellProvider()
  const other = { ...provider, create: async (envs) => {
    const instance = await provider.create(envs)
    return { ...instance, commands: { run: async (line, options) => change(await instance.commands.run(line, options)) } }
  } }
  await fluent(github())({}, undefined).withSandbox(other).cloneRepository('owner/repo')
  expect(fs.existsSync(path.join(repo(), 'README.md'))).toBe(true)
})

test('a sandbox that can make no key gets the command without the token, and git says what is missing', async () => {
  provider = shellProvider()
  const lines = []
  const bare = { ...provider, create: async (envs) => {
    const instance = await provider.create(envs)
    const run = (line, options) => {
      lines.push(line)
      return line.includes('openssl') ? { exitCode: 1, stdout: '', stderr: '' } : instance.commands.run(line, options)
    }
    return { ...instance, commands: { run } }
  } }
  const kit = fluent(github())({}, undefined).withSandbox(bare)
  const error = await reasonOf(kit.cloneRepository('owner/repo'))
  expect(error.message).toMatch(/^git clone exited with code 128: /)
  expect(lines.filter((line) => line.includes('git clone'))).toEqual([`cd ${repo()} && git clone ${services.server.url}/owner/repo.git .`])
  expect(JSON.stringify([lines, everything(error)])).not.toContain(TOKEN)
})

function files(place) {
  return fs.readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
}

/** An error with everything in it. */
function everything(error) {
  if (!(error instanceof Error)) return error
  const own = Object.fromEntries(Object.getOwnPropertyNames(error).map((name) => [name, error[name]]))
  return { ...own, cause: everything(error.cause) }
}
