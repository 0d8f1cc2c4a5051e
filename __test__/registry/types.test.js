'use strict'

/** The types of the sub-paths, in every way TypeScript resolves packages, and beside upstream's. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { execFile } = require('node:child_process')

const ROOT = path.join(__dirname, '../..')
const TSC = require.resolve('typescript/bin/tsc')

/** A user's program. */
const USE = `
import { ConfigManager, DockerClient, type AgentType, type DockerLoginInfo, type VibeKitConfig, type Logger } from 'vibekit-native/services'
import {
  AWSECRRegistry, DockerHubRegistry, GitHubContainerRegistry, ImageResolver, RegistryManager,
  type RegistryProvider, type RegistryResult, type SetupResult, type ImageUploadResult, type RegistryManagerConfig,
  type DockerHubConfig, type GitHubContainerRegistryConfig, type AWSECRConfig, type ImageResolverConfig,
} from 'vibekit-native/registry'

const logger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
const registries: Record<string, RegistryProvider> = {
  dockerhub: new DockerHubRegistry({ logger } satisfies DockerHubConfig),
  ghcr: new GitHubContainerRegistry({ githubToken: 't' } satisfies GitHubContainerRegistryConfig),
  ecr: new AWSECRRegistry({ awsRegion: 'r', awsAccountId: '1' } satisfies AWSECRConfig),
}
const manager = new RegistryManager({ defaultRegistry: 'dockerhub', registries } satisfies RegistryManagerConfig)
export async function use(agent: AgentType): Promise<string> {
  const login: DockerLoginInfo = await new DockerClient({ retryAttempts: 1 }).checkDockerLogin()
  const result: RegistryResult = await manager.uploadImages('ann', [agent], 'ghcr')
  const first: ImageUploadResult | undefined = result.results[0]
  const setup: SetupResult = await manager.setupRegistry(['codex'])
  const config: VibeKitConfig = await new ConfigManager().updateConfig({ dockerHubUser: login.username ?? undefined, anything: first })
  // @ts-expect-error: there is no such agent
  await manager.getImageName('nobody')
  // @ts-expect-error: options are known
  new DockerClient({ attempts: 1 })
  return new ImageResolver({ registryUser: config.dockerHubUser, pushImages: setup.success } satisfies ImageResolverConfig, manager).resolveImage(agent)
}
`

/** What is written for upstream works with ours: its interfaces, and the public side of its classes. */
const DROP_IN = `
import * as theirServices from '@vibe-kit/sdk/services'
import * as theirRegistry from '@vibe-kit/sdk/registry'
import * as services from 'vibekit-native/services'
import * as registry from 'vibekit-native/registry'

type Public<T> = { [K in keyof T]: T[K] }
type Classes<M> = { [K in keyof M as M[K] extends new (...args: any) => any ? K : never]: M[K] extends new (...args: infer A) => infer I ? { args: Parameters<(...args: A) => void>[0]; instance: Public<I> } : never }

declare const ours: { services: Classes<typeof services>; registry: Classes<typeof registry> }
export const instances: {
  [K in keyof Classes<typeof theirServices>]: Classes<typeof theirServices>[K]['instance']
} & { [K in keyof Classes<typeof theirRegistry>]: Classes<typeof theirRegistry>[K]['instance'] } = {
  DockerClient: ours.services.DockerClient.instance,
  ConfigManager: ours.services.ConfigManager.instance,
  DockerHubRegistry: ours.registry.DockerHubRegistry.instance,
  GitHubContainerRegistry: ours.registry.GitHubContainerRegistry.instance,
  AWSECRRegistry: ours.registry.AWSECRRegistry.instance,
  RegistryManager: ours.registry.RegistryManager.instance,
  ImageResolver: ours.registry.ImageResolver.instance,
}
declare const options: { [K in keyof Classes<typeof theirRegistry>]: Classes<typeof theirRegistry>[K]['args'] }
new services.DockerClient({} as theirServices.DockerClientConfig)
new services.ConfigManager({} as theirServices.ConfigManagerOptions)
new registry.DockerHubRegistry(options.DockerHubRegistry)
new registry.GitHubContainerRegistry(options.GitHubContainerRegistry)
new registry.AWSECRRegistry(options.AWSECRRegistry)
new registry.RegistryManager(options.RegistryManager)
new registry.ImageResolver(options.ImageResolver)
export const provider: theirRegistry.RegistryProvider = new registry.DockerHubRegistry()
export const back: registry.RegistryProvider = provider
`

/** @type {string} */
let dir
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'types-'))
  fs.mkdirSync(path.join(dir, 'node_modules/@vibe-kit'), { recursive: true })
  fs.symlinkSync(ROOT, path.join(dir, 'node_modules/vibekit-native'), 'dir')
  fs.symlinkSync(path.dirname(path.dirname(require.resolve('@vibe-kit/sdk'))), path.join(dir, 'node_modules/@vibe-kit/sdk'), 'dir')
})
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }))

/**
 * @param {Record<string, string>} files
 * @param {object} options of the compiler
 * @returns {Promise<string>} what is wrong with them
 */
function compile(files, options) {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), text)
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022'], types: [], skipLibCheck: false, ...options }
  const config = `${Object.keys(files)[0]}.json`
  fs.writeFileSync(path.join(dir, config), JSON.stringify({ compilerOptions, files: Object.keys(files) }))
  return new Promise((resolve) => execFile(process.execPath, [TSC, '-p', config], { cwd: dir }, (_error, stdout) => resolve(stdout)))
}

// That mistakes are seen is told by the lines that expect one: they are errors themselves where there is none.
test.each([
  ['node10', { 'a.ts': USE }, { module: 'commonjs', moduleResolution: 'node10' }],
  ['node16, from CommonJS and from ESM', { 'b.cts': USE, 'c.mts': USE }, { module: 'node16', moduleResolution: 'node16' }],
  // Upstream's own types need those of its dependencies, which is not what is checked here.
  ['bundler, beside upstream', { 'd.ts': USE, 'e.ts': DROP_IN }, { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true }],
])('%s', async (_, files, options) => {
  expect(await compile(files, options)).toBe('')
}, 240_000)
