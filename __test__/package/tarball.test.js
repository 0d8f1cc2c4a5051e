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
})

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
})

test('replaces @vibe-kit/sdk by one line of package.json', async () => {
  write('alias/package.json', '{ "name": "alias", "private": true }')
  const tarball = fs.readdirSync(folder).find((name) => name.endsWith('.tgz'))
  await succeed('npm', ['install', '--offline', '--no-audit', '--no-fund', `@vibe-kit/sdk@file:../${tarball}`], { cwd: path.join(folder, 'alias'), env })
  const file = write('alias/user.cjs', `const { VibeKit } = require('@vibe-kit/sdk');(async () => {${RUN}})()`)
  expect((await succeed(process.execPath, [file], { cwd: path.join(folder, 'alias'), env })).stdout).toBe(EXPECTED)
}, 60_000)
