'use strict'

/** The published provider under both SDKs: what users have now, over the double. */

const { kitSuite } = require('./kit-suite')

kitSuite('upstream over upstream', { domain: 'e2b.dev' })
kitSuite('ours over upstream', { domain: 'e2b.dev' })
