'use strict'

/** What makes native providers, one function each, named as upstream's packages name theirs. */

/**
 * A class whose sandboxes are native, made when the first provider of it is: importing this package needs none of it.
 * @param {() => new (options: unknown) => object} make
 */
function lazily(make) {
  /** @type {(new (options: unknown) => object) | undefined} */
  let made
  return (/** @type {unknown} */ options) => new (made ??= make())(options)
}

/** The embedded sandbox. */
const local = lazily(() => {
  const { NativeProviderObject } = require('./native-provider')
  return class LocalProvider extends NativeProviderObject {
    /** @param {unknown} options `LocalOptions` of `index.d.ts` */
    constructor(options) {
      super('local', options)
    }
  }
})

/** @param {unknown} [options] `LocalOptions` of `index.d.ts` */
const createLocalProvider = (options = {}) => local(options)

/** Containers of a Docker or Podman engine. */
const docker = lazily(() => {
  const { NativeProviderObject } = require('./native-provider')
  return class DockerProvider extends NativeProviderObject {
    /** @param {unknown} options `DockerOptions` of `index.d.ts` */
    constructor(options) {
      super('docker', options)
    }
  }
})

/** @param {unknown} [options] `DockerOptions` of `index.d.ts` */
const createDockerProvider = (options = {}) => docker(options)

/** Sandboxes at E2B. */
const e2b = lazily(() => require('./e2b').E2BSandboxProvider)

/** @param {unknown} [options] `E2BOptions` of `index.d.ts` */
const createE2BProvider = (options = {}) => e2b(options)

/** Sandboxes of Daytona. */
const daytona = lazily(() => require('./clouds').DaytonaSandboxProvider)

/** @param {unknown} [options] `DaytonaConfig` of `index.d.ts` */
const createDaytonaProvider = (options = {}) => daytona(options)

/** Sandboxes of Northflank. */
const northflank = lazily(() => require('./clouds').NorthflankSandboxProvider)

/** @param {unknown} [options] `NorthflankConfig` of `index.d.ts` */
const createNorthflankProvider = (options = {}) => northflank(options)

module.exports = {
  createDaytonaProvider,
  createDockerProvider,
  createE2BProvider,
  createLocalProvider,
  createNorthflankProvider,
}
