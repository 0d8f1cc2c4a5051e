'use strict'

/** The declarations, as a project sees that has the package installed. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { command } = require('../support/command')
const { published } = require('../../scripts/pack')

const root = path.join(__dirname, '../..')
const modules = path.join(root, 'node_modules')
const project = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-types-'))

beforeAll(async () => {
  const place = path.join(project, 'node_modules/vibekit-native')
  for (const file of await published()) fs.cpSync(path.join(root, file), path.join(place, file))
  fs.mkdirSync(path.join(project, 'node_modules/@types'), { recursive: true })
  fs.symlinkSync(path.join(modules, '@types/node'), path.join(project, 'node_modules/@types/node'))
  fs.symlinkSync(path.join(modules, 'undici-types'), path.join(project, 'node_modules/undici-types'))
  for (const name of ['user', 'upstream']) {
    const code = fs.readFileSync(path.join(__dirname, `types/${name}.ts`))
    for (const form of ['ts', 'mts', 'cts']) fs.writeFileSync(path.join(project, `${name}.${form}`), code)
  }
  fs.writeFileSync(path.join(project, 'package.json'), '{ "name": "user", "private": true }')
})
afterAll(() => fs.rmSync(project, { recursive: true, force: true }))

test.each([
  ['node10', 'commonjs', ['ts']],
  ['node16', 'node16', ['ts', 'mts', 'cts']],
  ['nodenext', 'nodenext', ['ts', 'mts', 'cts']],
  ['bundler', 'esnext', ['ts', 'mts']],
])('users\' code compiles with moduleResolution %s', async (moduleResolution, module, forms) => {
  const files = ['user', 'upstream'].flatMap((name) => forms.map((form) => `${name}.${form}`))
  const config = {
    compilerOptions: { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', types: ['node'], module, moduleResolution },
    files,
  }
  const file = path.join(project, `tsconfig.${moduleResolution}.json`)
  fs.writeFileSync(file, JSON.stringify(config))
  const { code, stdout } = await command(process.execPath, [path.join(modules, 'typescript/bin/tsc'), '--project', file])
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
}, 60_000)

test('name no any', () => {
  const declarations = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8').replace(/\/\*\*[^]*?\*\/|\/\/.*/g, '')
  expect(declarations.match(/\bany\b/g)).toBeNull()
})

test('lib matches the declarations: every exported name has a value', () => {
  const declared = [...fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8').matchAll(/^export (?:const|function|(?:abstract )?class) (\w+)/gm)]
  expect(declared.map(([, name]) => name).sort()).toEqual(Object.keys(require('vibekit-native')).sort())
})

test('are found by every resolver, in the right form', async () => {
  const attw = path.join(modules, '@arethetypeswrong/cli/dist/index.js')
  const tarball = await pack()
  const { code, stdout } = await command(process.execPath, [attw, tarball, '--format', 'ascii', '--no-color'])
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('No problems found') })
}, 60_000)

test('satisfy the linter of package.json', async () => {
  const { code, stdout } = await command(process.execPath, [path.join(modules, 'publint/src/cli.js'), '--strict', root])
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('All good!') })
}, 60_000)

async function pack() {
  const { stdout } = await command('npm', ['pack', '--json', '--pack-destination', project], { cwd: root })
  return path.join(project, JSON.parse(stdout)[0].filename)
}
