'use strict'

/**
 * Native providers as objects: of the shape any JavaScript provider has, so that they can be used on their own. Classes and
 * functions are named as upstream's packages name theirs. Importing this package needs the classes; what they do is loaded by
 * the first object (`native-provider.js`).
 */

/** @returns {typeof import('./native-provider')} */
const work = () => require('./native-provider')

class NativeProviderObject {
  /** @param {string} name as in `environment.<name>` @param {unknown} options its user's */
  constructor(name, options) {
    work().connect(this, name, options)
  }

  /** @param {unknown} [envs] @param {unknown} [agentType] @param {unknown} [workingDirectory] */
  async create(envs, agentType, workingDirectory) {
    return work().create(this, envs, agentType, workingDirectory)
  }

  /** @param {unknown} sandboxId */
  async resume(sandboxId) {
    return work().resume(this, sandboxId)
  }

  /** Finds out by trying whether sandboxes can be had, and what they can do; rejects where there can be none. */
  async probe() {
    return work().probe(this)
  }
}

/** The embedded sandbox. */
class LocalProvider extends NativeProviderObject {
  /** @param {unknown} [options] `LocalOptions` of `index.d.ts` */
  constructor(options = {}) {
    super('local', options)
  }
}

/** Containers of a Docker or Podman engine. */
class DockerProvider extends NativeProviderObject {
  /** @param {unknown} [options] `DockerOptions` of `index.d.ts` */
  constructor(options = {}) {
    super('docker', options)
  }
}

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

/** Sandboxes at E2B. On their own, commands that do not succeed reject (`e2b.js`). */
class E2BSandboxProvider extends NativeProviderObject {
  /** @param {unknown} [options] `E2BOptions` of `index.d.ts` */
  constructor(options = {}) {
    super('e2b', options)
  }

  /** @override @param {unknown} [envs] @param {unknown} [agentType] @param {unknown} [workingDirectory] */
  async create(envs, agentType, workingDirectory) {
    return require('./e2b').withRejections(await super.create(envs, agentType, workingDirectory))
  }

  /** @override @param {unknown} sandboxId */
  async resume(sandboxId) {
    return require('./e2b').withRejections(await super.resume(sandboxId))
  }
}

/** @param {unknown} [options] `DaytonaConfig` of `index.d.ts` */
const createDaytonaProvider = (options) => new DaytonaSandboxProvider(options)

/** @param {unknown} [options] `DockerOptions` of `index.d.ts` */
const createDockerProvider = (options) => new DockerProvider(options)

/** @param {unknown} [options] `E2BOptions` of `index.d.ts` */
const createE2BProvider = (options) => new E2BSandboxProvider(options)

/** @param {unknown} [options] `LocalOptions` of `index.d.ts` */
const createLocalProvider = (options) => new LocalProvider(options)

/** @param {unknown} [options] `NorthflankConfig` of `index.d.ts` */
const createNorthflankProvider = (options) => new NorthflankSandboxProvider(options)

module.exports = {
  DaytonaSandboxProvider,
  E2BSandboxProvider,
  NorthflankSandboxProvider,
  createDaytonaProvider,
  createDockerProvider,
  createE2BProvider,
  createLocalProvider,
  createNorthflankProvider,
}
