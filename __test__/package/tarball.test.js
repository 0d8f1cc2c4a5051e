'use strict'

/** The packed package, installed the way users install it, in projects of four kinds. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pack } = require('../../scripts/pack')
const { succeed } = require('../support/command')

const modules = path.join(__dirname, '../../node_modules')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-user-'))
let env

/** Nothing of this checkout may help: no addon by variable. */
beforeAll(async () => {
  const tarball = await pack(folder)
  env = { ...process.env }
  delete env.VIBEKIT_NATIVE_PATH
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "name": "user", "private": true }')
  await succeed('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: folder, env })
  // Not installed from a registry, to need no network.
  for (const name of ['typescript', '@types', 'undici-types']) fs.symlinkSync(path.join(modules, name), path.join(folder, 'node_modules', name))
}, 120_000)
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

const RUN = `
  const vibeKit = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { local: { ephemeral: true } } })
  const { stdout } = await vibeKit.executeCommand('echo works')
  const sessionId = await vibeKit.getSession()
  await vibeKit.kill()
  process.stdout.write(stdout + /^lcl_/.test(String(sessionId)) + ' ' + (await vibeKit.getSession()))`
const EXPECTED = 'works\ntrue null'

/** Writes a file of the user's and gives its path. */
function write(name, content) {
  const file = path.join(folder, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content)
  return file
}

test('holds one package and nothing else', () => {
  const installed = fs.readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
  expect(installed.filter((name) => !['typescript', '@types', 'undici-types'].includes(name))).toEqual(['vibekit-native'])
})

test('works in a CommonJS project', async () => {
  const file = write('user.cjs', `const { VibeKit } = require('vibekit-native');(async () => {${RUN}})()`)
  expect((await succeed(process.execPath, [file], { cwd: folder, env })).stdout).toBe(EXPECTED)
})

test('works in an ESM project', async () => {
  const file = write('user.mjs', `import { VibeKit } from 'vibekit-native'\n${RUN}`)
  expect((await succeed(process.execPath, [file], { cwd: folder, env })).stdout).toBe(EXPECTED)
})

test('works in a strict TypeScript project', async () => {
  write('user.mts', `import { VibeKit } from 'vibekit-native'\n${RUN}`)
  write('tsconfig.json', JSON.stringify({
    compilerOptions: { strict: true, skipLibCheck: false, target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', types: ['node'], outDir: 'out' },
    files: ['user.mts'],
  }))
  await succeed(process.execPath, [path.join(modules, 'typescript/bin/tsc')], { cwd: folder, env })
  expect((await succeed(process.execPath, ['out/user.mjs'], { cwd: folder, env })).stdout).toBe(EXPECTED)
}, 120_000)

test('works in a project that tests with Jest', async () => {
  write('jest/package.json', '{ "name": "jest-user", "private": true }')
  write('jest/user.test.js', `
    const { VibeKit } = require('vibekit-native')
    test('the agent is missing', () => expect(new VibeKit({}).getSession()).rejects.toEqual(new Error('Agent not initialized')))
    test('it runs', async () => {
      let out = ''
      const process = { stdout: { write: (text) => (out += text) } }
      ${RUN}
      expect(out).toBe(${JSON.stringify(EXPECTED)})
    })`)
  const jest = path.join(modules, 'jest/bin/jest.js')
  const { stderr } = await succeed(process.execPath, [jest, '--rootDir', path.join(folder, 'jest'), '--detectOpenHandles'], { cwd: path.join(folder, 'jest'), env })
  expect(stderr).toMatch(/2 passed, 2 total/)
  expect(stderr).not.toMatch(/open handle/)
}, 120_000)

// Code of both generations as it was written for @vibe-kit/sdk: only package.json differs.
const PROVIDER = `
  const success = { exitCode: 0, stdout: 'out', stderr: '' }
  const provider = {
    create: async () => ({ sandboxId: 'made', commands: { run: async (line, options = {}) => (options.onStdout?.('{"type":"x"}'), success) }, kill: async () => {} }),
    resume: async (sandboxId) => ({ ...(await provider.create()), sandboxId }),
  }`
const GENERATIONS = `${PROVIDER}
  const told = []
  const configured = new VibeKit({ agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { e2b: { apiKey: 'e' } }, sessionId: 'kept' }).withSandbox(provider)
  const { sandboxId } = await configured.generateCode({ prompt: 'p', mode: 'ask', callbacks: { onUpdate: (text) => told.push(JSON.parse(text).type) } })
  const fluent = new VibeKit().withAgent({ type: 'claude', provider: 'anthropic', apiKey: 'k', model: 'm' }).withSandbox(provider).withSecrets({ A: 'b' })
  fluent.on('stdout', (text) => told.push(JSON.parse(text).type))
  const { stdout } = await fluent.executeCommand('ls', { timeoutMs: 1000 })
  const Agent = await createCodexAgent()
  const agent = new Agent({ providerApiKey: 'k', sandboxProvider: provider })
  await agent.runTests()
  const answer = [sandboxId, stdout, await fluent.getSession(), AGENT_LIST.length, agent instanceof CodexAgent, told.join()].join(' ')`
const ANSWER = 'kept out made 5 true start,x,end,start,x,end'

test('replaces @vibe-kit/sdk by one line of package.json', async () => {
  const alias = path.join(folder, 'alias')
  const tarball = fs.readdirSync(folder).find((name) => name.endsWith('.tgz'))
  write('alias/package.json', JSON.stringify({ name: 'alias', private: true, dependencies: { '@vibe-kit/sdk': `file:../${tarball}` } }))
  await succeed('npm', ['install', '--offline', '--no-audit', '--no-fund'], { cwd: alias, env })
  const embedded = write('alias/user.cjs', `const { VibeKit } = require('@vibe-kit/sdk');(async () => {${RUN}})()`)
  expect((await succeed(process.execPath, [embedded], { cwd: alias, env })).stdout).toBe(EXPECTED)
  const names = 'VibeKit, createCodexAgent, CodexAgent, AGENT_LIST'
  const required = write('alias/both.cjs', `const { ${names} } = require('@vibe-kit/sdk');(async () => {${GENERATIONS}\nprocess.stdout.write(answer)})()`)
  const imported = write('alias/both.mjs', `import { ${names} } from '@vibe-kit/sdk'\n${GENERATIONS}\nprocess.stdout.write(answer)`)
  for (const file of [required, imported]) expect((await succeed(process.execPath, [file], { cwd: alias, env })).stdout).toBe(ANSWER)
}, 120_000)

test('works in a project that tests with Vitest, by its alias', async () => {
  const project = path.join(folder, 'alias')
  write('alias/vitest/user.test.mjs', `
    import { expect, test, vi } from ${JSON.stringify(path.join(modules, 'vitest/dist/index.js'))}
    import { VibeKit, createCodexAgent, CodexAgent, AGENT_LIST } from '@vibe-kit/sdk'
    test('both generations, with a fetch that must not be used', async () => {
      const fetched = vi.fn()
      vi.stubGlobal('fetch', fetched)
      ${GENERATIONS}
      expect(answer).toBe(${JSON.stringify(ANSWER)})
      expect(fetched).not.toHaveBeenCalled()
    })
    test('errors are errors', () => expect(new VibeKit({}).getSession()).rejects.toThrow(new Error('Agent not initialized')))`)
  const vitest = path.join(modules, 'vitest/vitest.mjs')
  const { stdout } = await succeed(process.execPath, [vitest, 'run', '--root', path.join(project, 'vitest')], { cwd: project, env: { ...env, NO_COLOR: '1' } })
  expect(stdout).toMatch(/2 passed/)
}, 120_000)
