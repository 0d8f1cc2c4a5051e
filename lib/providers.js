'use strict'

/** What makes native providers, one function each, named as upstream's packages name theirs. */

const { NativeProviderObject } = require('./native-provider')

/** The embedded sandbox. */
class LocalProvider extends NativeProviderObject {
  /** @param {unknown} options `LocalOptions` of `index.d.ts` */
  constructor(options) {
    super('local', options)
  }
}

/** @param {unknown} [options] `LocalOptions` of `index.d.ts` */
const createLocalProvider = (options = {}) => new LocalProvider(options)

/** Containers of a Docker or Podman engine. */
class DockerProvider extends NativeProviderObject {
  /** @param {unknown} options `DockerOptions` of `index.d.ts` */
  constructor(options) {
    super('docker', options)
  }
}

/** @param {unknown} [options] `DockerOptions` of `index.d.ts` */
const createDockerProvider = (options = {}) => new DockerProvider(options)

/** Sandboxes of Daytona. */
class DaytonaSandboxProvider extends NativeProviderObject {
  /** @param {unknown} options `DaytonaConfig` of `index.d.ts` */
  constructor(options) {
    super('daytona', options)
  }
}

/** @param {unknown} [options] `DaytonaConfig` of `index.d.ts` */
const createDaytonaProvider = (options = {}) => new DaytonaSandboxProvider(options)

module.exports = { DaytonaSandboxProvider, createDaytonaProvider, createDockerProvider, createLocalProvider }
