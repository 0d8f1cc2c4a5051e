'use strict'

const { compare } = require('./support/compare')

compare(require.resolve('./scenarios'))
