'use strict'

/** The sub-paths: what they export, that it is one thing however it is loaded, that loading it is cheap. */

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.join(__dirname, '../..')
const SUB_PATHS = ['services', 'registry']

/** @param {string} script @returns {any} */
const evaluate = (script) =>
  JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', `${script}\nconsole.log(JSON.stringify(result))`], { cwd: ROOT, encoding: 'utf8' }))

test.each(SUB_PATHS)('%s exports what upstream exports', async (subPath) => {
  const upstream = require(`@vibe-kit/sdk/${subPath}`)
  const ours = require(`vibekit-native/${subPath}`)
  expect(Object.keys(ours).sort()).toEqual(Object.keys(upstream).sort())
  for (const [name, Class] of Object.entries(upstream)) {
    expect(ours[name].name).toBe(name)
    const methods = Object.getOwnPropertyNames(Class.prototype).filter((method) => !method.startsWith('sanitize'))
    expect(Object.getOwnPropertyNames(ours[name].prototype)).toEqual(expect.arrayContaining(methods))
  }
})

test.each(SUB_PATHS)('%s is one module, imported or required', (subPath) => {
  const result = evaluate(`
    import { createRequire } from 'node:module'
    import * as imported from 'vibekit-native/${subPath}'
    const required = createRequire(${JSON.stringify(path.join(ROOT, 'x.js'))})('vibekit-native/${subPath}')
    const result = { imported: Object.keys(imported).sort(), required: Object.keys(required).sort(), same: Object.keys(required).every((name) => imported[name] === required[name]) }`)
  expect(result.imported).toEqual(result.required)
  expect(result.same).toBe(true)
})

test.each(SUB_PATHS)('%s has no side effects, and loads without the native addon', (subPath) => {
  const result = evaluate(`
    import { createRequire } from 'node:module'
    const require = createRequire(${JSON.stringify(path.join(ROOT, 'x.js'))})
    const before = { env: JSON.stringify(process.env), listeners: process.eventNames().length }
    require('vibekit-native/${subPath}')
    const result = {
      env: before.env === JSON.stringify(process.env),
      listeners: process.eventNames().length - before.listeners,
      native: Object.keys(require.cache).filter((file) => file.endsWith('.node') || file.includes('node_modules')),
      resources: process.getActiveResourcesInfo().filter((name) => !/^(TTY|Pipe|FSReq)/.test(name)),
    }`)
  expect(result).toEqual({ env: true, listeners: 0, native: [], resources: [] })
})

test('they are in the package', () => {
  const { exports: map, files } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
  for (const subPath of SUB_PATHS) {
    expect(map[`./${subPath}`]).toEqual({
      import: { types: `./${subPath}.d.mts`, default: `./${subPath}.mjs` },
      require: { types: `./${subPath}.d.ts`, default: `./${subPath}.js` },
    })
    for (const file of ['js', 'mjs', 'd.ts', 'd.mts']) expect(files).toContain(`${subPath}.${file}`)
    expect(files).toContain(`lib/${subPath}/*.js`)
  }
})
