'use strict'

/** What the side-by-side tests cannot see. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const util = require('node:util')
const { AWSECRRegistry, DockerHubRegistry, GitHubContainerRegistry, ImageResolver, RegistryManager } = require('vibekit-native/registry')
const { ConfigManager, DockerClient } = require('vibekit-native/services')
const { install, calls } = require('../services/support/fakes')

const before = { ...process.env }
/** @type {string} */
let dir

/** Nothing else is on PATH: no real program is ever called. @param {import('../services/support/fakes').Rule[]} rules */
const fake = (...rules) => void (process.env.PATH = install(dir, rules))

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'registry-'))
  process.env.PATH = dir
  for (const name of ['GITHUB_TOKEN', 'AWS_REGION', 'AWS_ACCOUNT_ID']) delete process.env[name]
})

afterEach(() => {
  process.env.PATH = before.PATH
  fs.rmSync(dir, { recursive: true, force: true })
})

const TOKEN = 'ghp_very5ecret'

test('a token is in no argument, no error, no line of the log and not on the surface', async () => {
  fake(
    { on: 'docker system*', out: '{}' },
    { on: 'aws ecr get-login-password*', out: `${TOKEN}\n` },
    { on: 'docker login*', out: TOKEN, err: `denied for ${TOKEN}\n`, exit: 1 },
  )
  /** @type {unknown[]} */
  const lines = []
  const note = (/** @type {unknown[]} */ ...parts) => void lines.push(...parts)
  const logger = { debug: note, info: note, warn: note, error: note }
  const github = new GitHubContainerRegistry({ githubToken: TOKEN, logger })
  const ecr = new AWSECRRegistry({ awsAccountId: '1', logger })
  const errors = []
  for (const work of [() => github.login('ann'), () => github.uploadImages('ann'), () => ecr.login(), () => ecr.pullImage('a')]) {
    errors.push(await work().catch((error) => error))
  }
  expect(errors.map((error) => error.message)).toEqual([
    expect.stringContaining('denied for ***'), expect.stringContaining('denied for ***'),
    expect.stringContaining('denied for ***'), expect.stringContaining('denied for ***'),
  ])
  const logins = calls(dir).filter(({ stdin }) => stdin !== undefined)
  expect(logins.map(({ stdin }) => stdin)).toEqual([TOKEN, TOKEN, TOKEN, TOKEN])
  expect(JSON.stringify(calls(dir).map(({ argv }) => argv))).not.toContain(TOKEN)
  expect(util.inspect([errors, lines, github, ecr], { depth: 10 })).not.toContain(TOKEN)
  expect(JSON.stringify(github)).not.toContain(TOKEN)
})

test('errors keep what they come from', async () => {
  fake({ on: 'docker pull*', err: 'manifest unknown\n', exit: 1 })
  const error = await new GitHubContainerRegistry().pullImage('a/b').catch((thrown) => thrown)
  expect(error).toBeInstanceOf(Error)
  expect(error.cause).toMatchObject({ code: 1, stderr: 'manifest unknown\n', cmd: 'docker pull ghcr.io/a/b' })
})

test('a logger may have some methods only, and they keep their `this`', async () => {
  fake({ on: 'docker push*', exit: 1 })
  const logger = {
    /** @type {string[]} */
    lines: [],
    debug(/** @type {string} */ line) {
      this.lines.push(line)
    },
  }
  await expect(new DockerClient({ retryAttempts: 1, logger }).pushImage('a')).rejects.toThrow('Command failed')
  expect(logger.lines).toEqual(['Pushing image a failed (attempt 1/1)'])
  fake({ on: 'docker images*', out: 'x' })
  await expect(new DockerHubRegistry({ logger }).uploadImages('ann', ['codex'])).resolves.toMatchObject({ success: true })
})

test('attempts wait, twice as long each time', async () => {
  fake({ on: 'docker pull*', exit: 1 })
  const start = performance.now()
  await expect(new DockerClient({ retryAttempts: 3, retryDelayMs: 150 }).pullImage('a')).rejects.toThrow()
  const time = performance.now() - start
  expect(time).toBeGreaterThanOrEqual(450 - 5)
  expect(calls(dir)).toHaveLength(3)
})

test('an account given for an upload does not stand in for one configured', async () => {
  fake({ on: 'docker system*', err: 'down\n', exit: 1 })
  const configured = new AWSECRRegistry({ awsAccountId: '123456789012' })
  await expect(configured.uploadImages('other', ['codex'])).resolves.toMatchObject({ success: false })
  expect(configured.getRegistryUrl()).toBe('123456789012.dkr.ecr.us-east-1.amazonaws.com')
})

test.each([
  ['account', { awsAccountId: '--config=/tmp' }],
  ['region', { awsAccountId: '1', awsRegion: 'us east' }],
])('an %s that is none reaches no command line', async (_, config) => {
  fake()
  const ecr = new AWSECRRegistry(config)
  await expect(ecr.login()).rejects.toThrow(/^Invalid ECR registry: /)
  await expect(ecr.checkLogin()).resolves.toEqual({ isLoggedIn: false, username: null, registry: 'ecr' })
  expect(calls(dir)).toEqual([])
})

test('options of a wrong type are named', () => {
  for (const Class of [DockerClient, ConfigManager, DockerHubRegistry, GitHubContainerRegistry, AWSECRRegistry, RegistryManager, ImageResolver]) {
    expect(() => new Class(/** @type {any} */ (null))).toThrow(`options of ${Class.name} must be an object, got null. Leave them out for the defaults.`)
  }
})

test('a registry must be one', () => {
  expect(() => new RegistryManager().registerRegistry('x', /** @type {any} */ (null))).toThrow(
    'provider must be a registry, got null. Pass an object with the methods of RegistryProvider.',
  )
})

test('names are checked in no time, however long', () => {
  const start = performance.now()
  return expect(new DockerClient().pullImage(`${'a:'.repeat(500_000)}!`)).rejects.toThrow('Invalid image name').then(() => {
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})
