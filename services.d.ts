/**
 * What the registries are built from: the Docker CLI and the settings file. Programs are called with argument lists, never
 * through a shell; images with names that could be anything else are refused with `Invalid image name: …`.
 */

import type { AgentType } from './index.js'

export type { AgentType }

/** Where messages go. Without one, nothing is written anywhere. */
export interface Logger {
  debug(message: string, meta?: unknown): void
  info(message: string, meta?: unknown): void
  warn(message: string, meta?: unknown): void
  error(message: string, error?: unknown, meta?: unknown): void
}

export interface DockerLoginInfo {
  isLoggedIn: boolean
  /** Absent or `null` if it is not known whose login it is. */
  username?: string | null
  registry?: string
}

export interface DockerClientConfig {
  /** How often pulling and pushing are tried. Default 3. */
  retryAttempts?: number
  /** Milliseconds before the second attempt; doubled each time. Default 1000. */
  retryDelayMs?: number
  logger?: Logger
}

/**
 * The Docker CLI.
 *
 * A command that fails rejects with `Command failed: …` and the properties `code`, `killed`, `signal`, `cmd`, `stdout` and
 * `stderr`. Each has a limit: 600 s to build, one hour to pull or push, 30 s for the rest.
 */
export declare class DockerClient {
  constructor(config?: DockerClientConfig)
  /** Whether somebody is logged into Docker Hub. Never rejects, and never asks. */
  checkDockerLogin(): Promise<DockerLoginInfo>
  /** Whether an image is on this machine; `false` on any error. */
  checkLocalImage(tag: string): Promise<boolean>
  pullImage(image: string): Promise<void>
  /** @param contextPath default: the working directory of the process */
  buildImage(dockerfilePath: string, tag: string, contextPath?: string): Promise<void>
  tagImage(source: string, target: string): Promise<void>
  pushImage(image: string): Promise<void>
  /** `repository:tag` of the images on this machine. */
  listImages(filter?: string): Promise<string[]>
  removeImage(tag: string, force?: boolean): Promise<void>
}

/** The settings file. Not to be confused with the configuration of the `VibeKit` class. */
export interface VibeKitConfig {
  dockerHubUser?: string
  /** When images were last uploaded to Docker Hub, in ISO 8601. */
  lastImageBuild?: string
  registryImages?: Partial<Record<AgentType, string>>
  privateRegistry?: string
  /** Default `true`. */
  preferRegistryImages?: boolean
  /** Default `true`. */
  pushImages?: boolean
  [key: string]: unknown
}

export interface ConfigManagerOptions {
  /** The folder of `config.json`. Default `~/.vibekit`. */
  configPath?: string
  logger?: Logger
}

/**
 * Settings in `config.json`.
 *
 * The file is replaced as a whole, readable by its owner only: a reader never meets half a file, and neither does the next
 * start after a crash. Changes within one process wait for each other, so that none is lost.
 */
export declare class ConfigManager {
  constructor(options?: ConfigManagerOptions)
  /** Empty if there is no file or it cannot be read. */
  getConfig(): Promise<VibeKitConfig>
  saveConfig(config: VibeKitConfig): Promise<void>
  /**
   * Sets some settings, leaves the others, gives all of them back. A file that is no JSON is kept as `config.json.invalid`
   * and started anew; one that cannot be read at all is left alone, and this rejects.
   */
  updateConfig(updates: Partial<VibeKitConfig>): Promise<VibeKitConfig>
  /** `updateConfig()` with settings that depend on the present ones. Not in `@vibe-kit/sdk`. */
  changeConfig(updatesOf: (config: VibeKitConfig) => Partial<VibeKitConfig>): Promise<VibeKitConfig>
  getDockerHubUser(): Promise<string | undefined>
  setDockerHubUser(username: string): Promise<void>
  getRegistryImage(agentType: AgentType): Promise<string | undefined>
  setRegistryImage(agentType: AgentType, imageUrl: string): Promise<void>
  /** Adds to the images noted before. */
  setRegistryImages(images: Partial<Record<AgentType, string>>): Promise<void>
  preferRegistryImages(): Promise<boolean>
  shouldPushImages(): Promise<boolean>
  getConfigPath(): string
  getConfigDir(): string
  configExists(): boolean
  deleteConfig(): Promise<void>
  resetConfig(): Promise<void>
}
