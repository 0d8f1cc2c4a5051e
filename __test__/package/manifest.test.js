'use strict'

/** Facts about the package that users and registries see. */

const fs = require('node:fs')
const path = require('node:path')
const manifest = require('../../package.json')
const { PLATFORMS, manifest: platformManifest } = require('../../scripts/platforms')
const { published } = require('../../scripts/pack')
const { succeed } = require('../support/command')

const root = path.join(__dirname, '../..')
const NAMES = [
  'AGENT_CAPABILITIES', 'AGENT_DESCRIPTIONS', 'AGENT_DISPLAY_NAMES', 'AGENT_LIST', 'AGENT_PROVIDERS', 'AGENT_TEMPLATES', 'AGENT_TYPES',
  'BaseAgent', 'ClaudeAgent', 'CodexAgent', 'DaytonaSandboxProvider', 'E2BSandboxProvider', 'GeminiAgent', 'GrokAgent', 'NorthflankSandboxProvider', 'OpenCodeAgent',
  'PROVIDER_DESCRIPTIONS', 'PROVIDER_DISPLAY_NAMES', 'PROVIDER_TEMPLATES', 'PROVIDER_TYPES', 'SANDBOX_PROVIDERS', 'TelemetryService',
  'VibeKit', 'createClaudeAgent', 'createCodexAgent', 'createDaytonaProvider', 'createDockerProvider', 'createE2BProvider', 'createGeminiAgent', 'createGrokAgent', 'createLocalProvider', 'createNorthflankProvider', 'createOpenCodeAgent',
]

test('is CommonJS for Node.js 20 and later, with nothing to install beside it and nothing run at installation', () => {
  expect(manifest).toMatchObject({ name: 'vibekit-native', type: 'commonjs', engines: { node: '>=20' }, license: 'MIT' })
  expect(manifest.dependencies).toBeUndefined()
  expect(manifest.peerDependencies).toBeUndefined()
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']) expect(manifest.scripts[script]).toBeUndefined()
})

test('is published with these files and no others', async () => {
  expect((await published()).sort()).toEqual([
    'LICENSE',
    'README.md',
    'index.d.mts',
    'index.d.ts',
    'index.js',
    'index.mjs',
    'lib/agents.js',
    'lib/arguments.js',
    'lib/constants.js',
    'lib/drive.js',
    'lib/e2b.js',
    'lib/errors.js',
    'lib/http.js',
    'lib/loader.js',
    'lib/messages.js',
    'lib/native-provider.js',
    'lib/operation.js',
    'lib/packed.js',
    'lib/planned.js',
    'lib/providers.js',
    ...['docker-hub', 'ecr', 'github', 'manager', 'registry', 'resolver', 'upload'].map((name) => `lib/registry/${name}.js`),
    ...['config-manager', 'docker-client', 'images', 'logger', 'run'].map((name) => `lib/services/${name}.js`),
    'lib/sealed.js',
    'lib/setup.js',
    'lib/telemetry.js',
    ...['check', 'checks'].map((name) => `lib/testing/${name}.js`),
    'lib/vibekit.js',
    'package.json',
    ...['registry', 'services', 'testing'].flatMap((name) => ['d.mts', 'd.ts', 'js', 'mjs'].map((form) => `${name}.${form}`)),
  ].sort())
})

test('loads classes with import, and what they do with the first object', async () => {
  const script = `
    import { createRequire } from 'node:module'
    import 'vibekit-native'
    const files = Object.keys(createRequire(import.meta.url).cache).map((file) => file.split(/[/\\\\]/).slice(-2).join('/'))
    process.stdout.write(JSON.stringify(files.filter((file) => file.startsWith('lib/')).sort()))`
  const { stdout } = await succeed(process.execPath, ['--input-type=module', '--eval', script], { cwd: root })
  expect(JSON.parse(stdout)).toEqual(['lib/agents.js', 'lib/constants.js', 'lib/providers.js', 'lib/telemetry.js', 'lib/vibekit.js'])
})

test('has the same names in every form', async () => {
  const required = require('vibekit-native')
  expect(Object.keys(required).sort()).toEqual(NAMES)
  const script = `
    import { createRequire } from 'node:module'
    import * as imported from 'vibekit-native'
    const required = createRequire(import.meta.url)('vibekit-native')
    const same = Object.keys(required).every((name) => required[name] === imported[name])
    process.stdout.write(JSON.stringify({ names: Object.keys(imported).sort(), same }))`
  const { stdout } = await succeed(process.execPath, ['--input-type=module', '--eval', script], { cwd: root })
  expect(JSON.parse(stdout)).toEqual({ names: NAMES, same: true })
})

test('has the constants of upstream, value for value and in their order', () => {
  const upstream = require('@vibe-kit/sdk')
  const ours = require('vibekit-native')
  const constants = Object.keys(upstream).filter((name) => /^[A-Z0-9_]+$/.test(name))
  expect(constants).toHaveLength(12)
  for (const name of constants) expect(JSON.stringify(ours[name])).toBe(JSON.stringify(upstream[name]))
})

test('has one version, here and in every platform package', () => {
  expect(fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8')).toContain(`version = "${manifest.version}"`)
  expect(fs.readdirSync(path.join(root, 'npm')).sort()).toEqual(PLATFORMS.map(({ triple }) => triple).sort())
  expect(manifest.napi.targets).toEqual(PLATFORMS.map(({ target }) => target))
  for (const platform of PLATFORMS) {
    const file = path.join(root, 'npm', platform.triple, 'package.json')
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(platformManifest(platform, manifest))))
  }
})

test('imports without a side effect, and without the addon', async () => {
  const script = `
    const before = Object.keys(globalThis).length
    const { AGENT_LIST } = require('vibekit-native')
    const { shared } = process.report.getReport()
      ? { shared: process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node')) } : {}
    process.stdout.write(JSON.stringify({ agents: AGENT_LIST.length, globals: Object.keys(globalThis).length - before, shared }))`
  const { stdout } = await succeed(process.execPath, ['--eval', script], { cwd: root })
  expect(JSON.parse(stdout)).toEqual({ agents: 5, globals: 0, shared: [] })
})

describe('the addon', () => {
  const { triple } = require('../../lib/loader')
  const binary = process.env.VIBEKIT_NATIVE_PATH ?? path.join(root, `vibekit-native.${triple()}.node`)

  // The published build (`npm run build -- --release`) is a quarter smaller: below half of what the SDK and its E2B package install.
  test('stays below its ceiling', () => {
    expect(fs.statSync(binary).size).toBeLessThan(14 * 1024 * 1024)
  })

  test('that is missing is reported with what was tried and one remedy', async () => {
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'vibekit-loader-'))
    try {
      for (const file of ['index.js', 'package.json', 'lib']) fs.cpSync(path.join(root, file), path.join(folder, file), { recursive: true })
      const script = "try { new (require('./index.js').VibeKit)() } catch (error) { process.stdout.write(JSON.stringify({ message: error.message, code: error.code, cause: error.cause.code })) }"
      const env = { ...process.env }
      delete env.VIBEKIT_NATIVE_PATH
      const report = async (more) => JSON.parse((await succeed(process.execPath, ['--eval', script], { cwd: folder, env: { ...env, ...more } })).stdout)

      const missing = await report({})
      expect(missing).toMatchObject({ code: 'NATIVE_ADDON_UNAVAILABLE', cause: 'MODULE_NOT_FOUND' })
      expect(missing.message).toContain(triple())
      expect(missing.message).toContain(`npm install vibekit-native-${triple()}@${manifest.version}`)
      expect(missing.message).toMatch(/not there/)

      fs.writeFileSync(path.join(folder, `vibekit-native.${triple()}.node`), 'no library')
      const broken = await report({})
      expect(broken).toMatchObject({ code: 'NATIVE_ADDON_UNAVAILABLE', cause: 'ERR_DLOPEN_FAILED' })

      const chosen = await report({ VIBEKIT_NATIVE_PATH: 'nowhere.node' })
      expect(chosen.message).toContain('nowhere.node')
      expect(chosen.message).toContain('VIBEKIT_NATIVE_PATH')

      fs.copyFileSync(binary, path.join(folder, `vibekit-native.${triple()}.node`))
      fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ ...manifest, version: '9.9.9' }))
      const other = await report({})
      expect(other.message).toMatch(/it is version 0\.1\.0, this package is 9\.9\.9/)
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
