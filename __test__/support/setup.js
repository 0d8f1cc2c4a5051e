'use strict'

/**
 * What every test file starts from: no keys of the person who runs the tests, and a state directory of its own, so that a
 * session left behind shows and none of the user's is touched.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

for (const name of Object.keys(process.env)) {
  if (/(_API_KEY|_OAUTH_TOKEN|_API_TOKEN|^GH_TOKEN|^GITHUB_TOKEN)$/.test(name)) delete process.env[name]
}

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-test-'))
process.env.VIBEKIT_HOME = home

afterAll(() => fs.rmSync(home, { recursive: true, force: true }))
