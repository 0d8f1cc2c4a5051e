'use strict'

const { compare } = require('../services/support/compare')

compare(require.resolve('./scenarios'))
