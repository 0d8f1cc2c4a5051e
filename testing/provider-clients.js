'use strict'

/**
 * The official clients of the services there are doubles for, in the versions the doubles were made to please. They are
 * installed from the npm registry into a cache folder outside the repository; nothing of them is part of this package.
 *
 * @example
 * const { Daytona } = await providerClient('daytona')
 *
 * On the command line: `node testing/provider-clients.js` installs all.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { locked, npmInstall } = require('./npm-cache')

/** @type {Record<string, { name: string, version: string }>} */
const clients = {
  daytona: { name: '@daytonaio/sdk', version: '0.218.0' },
  // What upstream's provider was written for; it takes the way through the API.
  'daytona-0.27': { name: '@daytonaio/sdk', version: '0.27.1' },
  northflank: { name: '@northflank/js-client', version: '0.9.5' },
}

/** Where they are kept: `VIBEKIT_CLIENTS_DIR`, or below the user's cache folder. */
function clientsDirectory() {
  const { VIBEKIT_CLIENTS_DIR, XDG_CACHE_HOME } = process.env
  if (VIBEKIT_CLIENTS_DIR) return path.resolve(VIBEKIT_CLIENTS_DIR)
  return path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'vibekit-native', 'clients')
}

/**
 * Makes sure that a client is installed, and says where. Safe to call in several processes at once.
 * @param {string} key
 * @returns {Promise<string>}
 */
async function clientFolder(key) {
  const { name, version } = clients[key]
  const home = path.join(clientsDirectory(), `${name.replace(/\W+/g, '-')}-${version}`)
  const folder = path.join(home, 'node_modules', name)
  await fs.promises.mkdir(clientsDirectory(), { recursive: true })
  if (!fs.existsSync(home)) {
    await locked(`${home}.lock`, async () => {
      if (fs.existsSync(home)) return
      // Renamed when it is whole.
      const draft = `${home}.${process.pid}`
      try {
        await fs.promises.mkdir(draft, { recursive: true })
        await npmInstall(`${name}@${version}`, draft)
        await fs.promises.rename(draft, home)
      } finally {
        await fs.promises.rm(draft, { recursive: true, force: true })
      }
    })
  }
  return folder
}

/** A client's module. @param {string} key @returns {Promise<any>} */
const providerClient = async (key) => require(await clientFolder(key))

if (require.main === module) {
  Promise.all(Object.keys(clients).map(clientFolder)).then((folders) => process.stdout.write(`${folders.join('\n')}\n`))
}

module.exports = { providerClient, clientFolder }
