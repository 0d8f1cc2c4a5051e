'use strict'

/** Classes of native providers that need nothing of their own, named as upstream's packages name them. */

const { NativeProviderObject } = require('./native-provider')

/** Sandboxes of Daytona. */
class DaytonaSandboxProvider extends NativeProviderObject {
  /** @param {unknown} [options] `DaytonaConfig` of `index.d.ts` */
  constructor(options = {}) {
    super('daytona', options)
  }
}

/** Sandboxes of Northflank. */
class NorthflankSandboxProvider extends NativeProviderObject {
  /** @param {unknown} [options] `NorthflankConfig` of `index.d.ts` */
  constructor(options = {}) {
    super('northflank', options)
  }
}

module.exports = { DaytonaSandboxProvider, NorthflankSandboxProvider }
