'use strict'

/**
 * Runs every scenario over `@vibe-kit/sdk` and prints what was observed, as JSON. A process of its own: the package imports
 * its agents dynamically, which Jest does not support, and prints to the console.
 */

const { SCENARIOS } = require('./scenarios')

console.error = console.warn = console.log = () => {}

async function main() {
  const { VibeKit } = require('@vibe-kit/sdk')
  const observed = {}
  for (const [name, scenario] of Object.entries(SCENARIOS)) observed[name] = await scenario(VibeKit)
  process.stdout.write(JSON.stringify(observed))
}

main()
