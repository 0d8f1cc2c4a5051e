'use strict'

const { checkProvider } = require('./lib/testing/check')

module.exports = { checkProvider }
