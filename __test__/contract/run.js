'use strict'

/**
 * `node run.js <package>`: runs every scenario over one package and prints what was observed, as JSON with a mark for
 * `undefined`. A process of its own: upstream imports its agents dynamically, which Jest does not support, and prints to the
 * console; and neither package may see what the other left behind.
 */

const { all } = require('./scenarios')

for (const name of Object.keys(process.env)) {
  if (/(_API_KEY|_OAUTH_TOKEN|_API_TOKEN|^GH_TOKEN|^GITHUB_TOKEN)$/.test(name)) delete process.env[name]
}
console.error = console.warn = console.log = console.info = () => {}

async function main() {
  const sdk = require(process.argv[2])
  const observed = {}
  for (const { name, observe } of all) {
    observed[name] = await Promise.resolve(observe(sdk)).catch((error) => ({ broken: error?.stack ?? String(error) }))
  }
  process.stdout.write(JSON.stringify(observed, (_key, value) => (value === undefined ? { $: 'undefined' } : value)))
}

main()
