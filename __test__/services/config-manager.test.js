'use strict'

/** The settings file survives crashes, readers, concurrent changes and people who edit it by hand. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawn } = require('node:child_process')
const { ConfigManager } = require('vibekit-native/services')

/** @type {string} */
let dir
const file = () => path.join(dir, 'config.json')
const written = () => JSON.parse(fs.readFileSync(file(), 'utf8'))

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'settings-'))
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

test('only its owner may read it', async () => {
  fs.writeFileSync(file(), '{}', { mode: 0o644 })
  await new ConfigManager({ configPath: dir }).saveConfig({ a: 1 })
  expect(fs.statSync(file()).mode & 0o777).toBe(0o600)
  const made = new ConfigManager({ configPath: path.join(dir, 'made/here') })
  await made.saveConfig({})
  expect(fs.statSync(made.getConfigDir()).mode & 0o777).toBe(0o700)
})

test('nothing is left beside it', async () => {
  const manager = new ConfigManager({ configPath: dir })
  await manager.saveConfig({ a: 1 })
  await expect(manager.saveConfig({ a: 1n })).rejects.toThrow(/BigInt/)
  expect(fs.readdirSync(dir)).toEqual(['config.json'])
  fs.rmSync(file())
  fs.mkdirSync(file())
  await expect(manager.saveConfig({ a: 1 })).rejects.toThrow(/EISDIR/)
  expect(fs.readdirSync(dir)).toEqual(['config.json'])
})

test('a link stays a link', async () => {
  fs.mkdirSync(path.join(dir, 'dotfiles'))
  fs.writeFileSync(path.join(dir, 'dotfiles/vibekit.json'), '{"a":1}')
  fs.symlinkSync('dotfiles/vibekit.json', file())
  await new ConfigManager({ configPath: dir }).updateConfig({ b: 2 })
  expect(fs.lstatSync(file()).isSymbolicLink()).toBe(true)
  expect(JSON.parse(fs.readFileSync(path.join(dir, 'dotfiles/vibekit.json'), 'utf8'))).toEqual({ a: 1, b: 2 })
})

test('a reader never meets half a file', async () => {
  const manager = new ConfigManager({ configPath: dir })
  const configs = ['a', 'b'].map((letter) => ({ text: letter.repeat(512 * 1024) }))
  await manager.saveConfig(configs[0])
  let saving = true
  const save = (async () => {
    for (let n = 0; n < 40; n += 1) await manager.saveConfig(configs[n % 2])
    saving = false
  })()
  let reads = 0
  while (saving) {
    expect([...new Set(written().text)]).toHaveLength(1)
    reads += 1
    await new Promise(setImmediate)
  }
  await save
  expect(reads).toBeGreaterThan(10)
})

test('neither does the next start after a crash', async () => {
  const script = `
    const { ConfigManager } = require('vibekit-native/services')
    const manager = new ConfigManager({ configPath: ${JSON.stringify(dir)} })
    const text = 'x'.repeat(1024 * 1024)
    ;(async () => { for (let n = 0; ; n += 1) { await manager.saveConfig({ n, text }); if (n === 0) process.stdout.write('.') } })()
  `
  for (let crash = 0; crash < 5; crash += 1) {
    const child = spawn(process.execPath, ['-e', script], { cwd: path.join(__dirname, '../..'), stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, 7 * crash))
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    expect(written().text).toHaveLength(1024 * 1024)
  }
})

test('no change is lost, whichever instance makes it', async () => {
  const managers = [1, 2, 3].map(() => new ConfigManager({ configPath: dir }))
  const names = Array.from({ length: 30 }, (_, n) => `agent-${n}`)
  await Promise.all(names.map((name, n) => managers[n % 3].setRegistryImage(name, `image-${n}`)))
  expect(Object.keys(written().registryImages).sort()).toEqual([...names].sort())
})

test('a change that fails does not hold up the next', async () => {
  const manager = new ConfigManager({ configPath: dir })
  const failing = manager.changeConfig(() => {
    throw new Error('no')
  })
  const next = manager.updateConfig({ a: 1 })
  await expect(failing).rejects.toThrow('no')
  await expect(next).resolves.toEqual({ a: 1 })
})

test('changes come in the order they were asked for', async () => {
  const manager = new ConfigManager({ configPath: dir })
  await Promise.all([manager.saveConfig({ a: 1 }), manager.updateConfig({ b: 2 }), manager.deleteConfig(), manager.updateConfig({ c: 3 })])
  expect(written()).toEqual({ c: 3 })
})

test('what cannot be read is not overwritten', async () => {
  fs.mkdirSync(file())
  await expect(new ConfigManager({ configPath: dir }).updateConfig({ a: 1 })).rejects.toThrow(/EISDIR/)
  expect(fs.readdirSync(file())).toEqual([])
})

test('what is no JSON is kept', async () => {
  fs.writeFileSync(file(), '{"dockerHubUser": "bob",}')
  await new ConfigManager({ configPath: dir }).setDockerHubUser('eve')
  expect(written()).toEqual({ dockerHubUser: 'eve' })
  expect(fs.readFileSync(`${file()}.invalid`, 'utf8')).toBe('{"dockerHubUser": "bob",}')
})

test.each([undefined, null, 'text', [], 5])('%p is no configuration', async (config) => {
  const lines = []
  const manager = new ConfigManager({ configPath: dir, logger: { error: (line) => lines.push(line) } })
  await expect(manager.saveConfig(config)).rejects.toThrow(/^config must be an object, got .*Pass the settings to write\.$/)
  expect(lines).toHaveLength(1)
  expect(manager.configExists()).toBe(false)
})

test('options of a wrong type are named', () => {
  expect(() => new ConfigManager(null)).toThrow('options of ConfigManager must be an object, got null. Leave them out for the defaults.')
  expect(() => new ConfigManager({ logger: 'console' })).toThrow(/^logger must be an object with the methods/)
})
