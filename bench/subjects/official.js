'use strict'

/** The services' own clients. */

const { providerClient } = require('../../testing/provider-clients')

module.exports = { name: 'official', client: providerClient, e2b: () => require('e2b') }
