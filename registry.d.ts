/**
 * Container registries for agent images, by the Docker, AWS and git command line programs. Programs are called with argument
 * lists, never through a shell; tokens reach them by stdin; none of them can wait for an answer.
 */

import type { AgentType, DockerLoginInfo, Logger, VibeKitConfig } from './services.js'

export interface ImageUploadResult {
  agentType: AgentType
  success: boolean
  error?: string
  imageUrl?: string
}

export interface RegistryResult {
  /** At least one image went up. */
  success: boolean
  results: ImageUploadResult[]
}

export interface SetupResult {
  success: boolean
  /** All settings, as they are now. */
  config?: VibeKitConfig
  error?: string
}

/** A registry, one of those below or your own. */
export interface RegistryProvider {
  checkLogin(): Promise<{ isLoggedIn: boolean; username?: string | null; registry?: string }>
  /** The full name of an agent's image; `null` if it cannot be told whose. */
  getImageName(agentType: AgentType, username?: string): Promise<string | null>
  /** @param selectedAgents default: all */
  uploadImages(username: string, selectedAgents?: AgentType[]): Promise<RegistryResult>
  pullImage(imageName: string): Promise<void>
  checkLocalImage(imageName: string): Promise<boolean>
  getRegistryUrl(): string
  getRegistryName(): string
  /** Uploads and remembers. Without it, `RegistryManager.setupRegistry()` checks the login and uploads. */
  setupRegistry?(selectedAgents?: AgentType[]): Promise<SetupResult>
}

export interface RegistryManagerConfig {
  /** Default `dockerhub`. */
  defaultRegistry?: 'dockerhub' | 'ecr' | 'gcr' | 'github'
  registries?: Record<string, RegistryProvider>
  logger?: Logger
}

/** Registries by name. Methods without a name use the default one, and throw or reject if there is none of that name. */
export declare class RegistryManager {
  constructor(config?: RegistryManagerConfig)
  registerRegistry(name: string, provider: RegistryProvider): void
  getRegistry(name?: string): RegistryProvider
  getAvailableRegistries(): string[]
  setDefaultRegistry(name: string): void
  checkLogin(registryName?: string): Promise<{ isLoggedIn: boolean; username?: string | null; registry?: string }>
  getImageName(agentType: AgentType, registryName?: string, username?: string): Promise<string | null>
  uploadImages(username: string, selectedAgents?: AgentType[], registryName?: string): Promise<RegistryResult>
  pullImage(imageName: string, registryName?: string): Promise<void>
  checkLocalImage(imageName: string, registryName?: string): Promise<boolean>
  setupRegistry(selectedAgents?: AgentType[], registryName?: string): Promise<SetupResult>
  getRegistryInfo(registryName?: string): { name: string; url: string }
}

export interface DockerHubConfig {
  /** How often pulling and pushing are tried. Default 3. */
  retryAttempts?: number
  /** Milliseconds before the second attempt; doubled each time. Default 1000. */
  retryDelayMs?: number
  logger?: Logger
}

/** Docker Hub. Images are `{user}/vibekit-{agent}:latest`. */
export declare class DockerHubRegistry implements RegistryProvider {
  constructor(config?: DockerHubConfig)
  checkLogin(): Promise<DockerLoginInfo>
  getImageName(agentType: AgentType, username?: string): Promise<string | null>
  uploadImages(dockerHubUser: string, selectedAgents?: AgentType[]): Promise<RegistryResult>
  /**
   * Uploads, then notes user and images in the settings. They are merged with what is there: other settings and the images
   * of other agents stay, where `@vibe-kit/sdk` overwrites the whole file.
   */
  setupRegistry(selectedAgents?: AgentType[]): Promise<SetupResult>
  pullImage(imageName: string): Promise<void>
  checkLocalImage(imageName: string): Promise<boolean>
  getRegistryUrl(): string
  getRegistryName(): string
}

export interface GitHubContainerRegistryConfig {
  /** How often pushing is tried. Default 3. */
  retryAttempts?: number
  /** Milliseconds before the second attempt; doubled each time. Default 1000. */
  retryDelayMs?: number
  /** Default: the environment variable `GITHUB_TOKEN`. */
  githubToken?: string
  logger?: Logger
}

/** The GitHub Container Registry. Images are `ghcr.io/{user}/vibekit-{agent}:latest`. */
export declare class GitHubContainerRegistry implements RegistryProvider {
  constructor(config?: GitHubContainerRegistryConfig)
  checkLogin(): Promise<{ isLoggedIn: boolean; username?: string | null; registry?: string }>
  /** Logs docker in. The token goes by stdin and is in no argument and no error. */
  login(username: string): Promise<void>
  getImageName(agentType: AgentType, username?: string): Promise<string | null>
  uploadImages(username: string, selectedAgents?: AgentType[]): Promise<RegistryResult>
  pullImage(imageName: string): Promise<void>
  checkLocalImage(imageName: string): Promise<boolean>
  getRegistryUrl(): string
  getRegistryName(): string
  setupRegistry(selectedAgents?: AgentType[]): Promise<SetupResult>
}

export interface AWSECRConfig {
  /** How often pushing is tried. Default 3. */
  retryAttempts?: number
  /** Milliseconds before the second attempt; doubled each time. Default 1000. */
  retryDelayMs?: number
  /** Default: the environment variable `AWS_REGION`, else `us-east-1`. */
  awsRegion?: string
  /** Default: the environment variable `AWS_ACCOUNT_ID`. */
  awsAccountId?: string
  logger?: Logger
}

/** AWS Elastic Container Registry. Images are `{account}.dkr.ecr.{region}.amazonaws.com/vibekit-{agent}:latest`. */
export declare class AWSECRRegistry implements RegistryProvider {
  constructor(config?: AWSECRConfig)
  checkLogin(): Promise<{ isLoggedIn: boolean; username?: string | null; registry?: string }>
  /** Logs docker in with a password of the AWS CLI, which goes by stdin. Rejects if the CLI has none. */
  login(): Promise<void>
  getImageName(agentType: AgentType, username?: string): Promise<string | null>
  /** @param username the account, if none is configured */
  uploadImages(username: string, selectedAgents?: AgentType[]): Promise<RegistryResult>
  pullImage(imageName: string): Promise<void>
  checkLocalImage(imageName: string): Promise<boolean>
  getRegistryUrl(): string
  getRegistryName(): string
  setupRegistry(selectedAgents?: AgentType[]): Promise<SetupResult>
}

export interface ImageResolverConfig {
  /** Ask the registry before building. Default `true`. */
  preferRegistryImages?: boolean
  /** Push what was built. Default `true`; that a push fails is only logged. */
  pushImages?: boolean
  privateRegistry?: string
  dockerHubUser?: string
  /** Owner of the images. Default: `dockerHubUser`. */
  registryUser?: string
  /** Name of the registry in the manager. Default: the manager's default. */
  registryName?: string
  retryAttempts?: number
  retryDelayMs?: number
  logger?: Logger
}

export interface PrebuildResult {
  /** At least one image is ready. */
  success: boolean
  results: Array<{
    agentType: AgentType
    success: boolean
    error?: string
    /** `cached`: it is on this machine now. `dockerfile`: it could not be built. */
    source: 'registry' | 'dockerfile' | 'cached'
  }>
}

/** Finds, pulls or builds the images of agents. */
export declare class ImageResolver {
  /** @param registryManager default: one without registries, so that nothing is pulled or pushed */
  constructor(config?: ImageResolverConfig, registryManager?: RegistryManager)
  /**
   * The local image, else the registry's, else one built from `assets/dockerfiles/Dockerfile.{agent}` below the working
   * directory, else `ubuntu:24.04`. Rejects only if building fails.
   */
  resolveImage(agentType?: AgentType): Promise<string>
  prebuildImages(selectedAgents?: AgentType[]): Promise<PrebuildResult>
  /** The agents with a Dockerfile. */
  getAvailableAgentTypes(): AgentType[]
  hasLocalImage(agentType: AgentType): Promise<boolean>
  removeLocalImage(agentType: AgentType, force?: boolean): Promise<void>
}
