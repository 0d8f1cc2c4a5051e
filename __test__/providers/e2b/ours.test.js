'use strict'

/** Ours over the double, by the suites the published clients passed. */

const { ours } = require('./clients')
const { kitSuite } = require('./kit-suite')
const { suite } = require('./suite')

suite('createE2BProvider()', ours)
kitSuite('ours over ours', { domain: 'e2b.app', answers: true })
kitSuite('environment', { domain: 'e2b.app', answers: true })
