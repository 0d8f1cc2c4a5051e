/// <reference types="node" />

import { EventEmitter } from 'node:events'

// ---- vocabulary ----------------------------------------------------------------------------------------------------

/** The agents this package runs. */
export type AgentType = 'claude' | 'codex' | 'gemini' | 'grok' | 'opencode'

/** `ask`: the agent answers and changes nothing. `code`: it may edit files and run commands. */
export type AgentMode = 'ask' | 'code'

/** Vendors of models. Claude takes `anthropic`, Gemini `gemini` or `google`, Grok `xai`; Codex and OpenCode take any. */
export type ModelProvider =
  | 'openai'
  | 'anthropic'
  | 'openrouter'
  | 'azure'
  | 'gemini'
  | 'google'
  | 'ollama'
  | 'mistral'
  | 'deepseek'
  | 'xai'
  | 'groq'
  | 'arceeai'

/** One entry of a conversation. */
export interface Conversation {
  role: 'user' | 'assistant'
  content: string
}

/** Environment variables for the sandbox, over the agent's own. Their values never appear in arguments, events or errors of this package. */
export type SecretsConfig = Record<string, string>

// ---- the configuration of `new VibeKit(config)` --------------------------------------------------------------------

/** The model an agent uses. */
export interface AgentModel {
  /** Model name in the agent's spelling. Default: the agent's own. */
  name?: string
  /** Default: `anthropic` for Claude, `openai` for Codex and OpenCode, `gemini` for Gemini, `xai` for Grok. */
  provider?: ModelProvider
  /** The vendor's key. Default: its usual environment variable, such as `ANTHROPIC_API_KEY`. */
  apiKey?: string
  /** Claude only: a subscription token, used when there is no key. Default: `CLAUDE_CODE_OAUTH_TOKEN`. */
  oauthToken?: string
  /** Where the vendor's API is. Default: the vendor's own address. */
  baseUrl?: string
}

/** The agent of a configuration. */
export interface AgentConfig {
  type: AgentType
  /** May be left out when the key comes from the environment. */
  model?: AgentModel
  /** For calls that do not say it themselves. Default: `code`. */
  mode?: AgentMode
  /** Further instructions, given to the agent as system text. */
  instructions?: string
  /** More environment for the agent's process alone. */
  env?: Record<string, string>
}

export interface E2BConfig {
  /** Default: `E2B_API_KEY`. */
  apiKey?: string
  templateId?: string
}

export interface DaytonaConfig {
  /** Default: `DAYTONA_API_KEY`. */
  apiKey?: string
  image?: string
  serverUrl?: string
}

export interface NorthflankConfig {
  /** Default: `NORTHFLANK_API_KEY`. */
  apiKey?: string
  image?: string
  projectId?: string
  billingPlan?: string
  /** Mebibytes. */
  persistentVolumeStorage?: number
}

export interface ModalConfig {
  image: string
  encryptedPorts?: number[]
  h2Ports?: number[]
}

/** Options of the embedded sandbox. All are optional; a wrong one is refused with its name and a remedy. */
export interface LocalOptions {
  /**
   * `allow`: the public internet, never this machine or private networks. `deny`: nothing. A list: these hosts alone, as
   * `host`, `*.host`, or `host:port`. Default: `allow`.
   */
  network?: 'allow' | 'deny' | { allow: readonly string[] }
  /** What the sandbox may use. A limit this host cannot enforce is refused (`LIMIT_UNSUPPORTED`). */
  limits?: {
    /** Bytes. */
    memory?: number
    /** Processes and threads. */
    pids?: number
    /** Cores; fractions count. */
    cpu?: number
    /** Bytes. */
    disk?: number
  }
  /** A folder of this machine to work on. Without it the session has an empty one of its own. */
  workspace?: {
    /** Absolute path. */
    path: string
    /** `dir`: in place. `overlay`: changes stay in the session. `copy`: on a copy. Default: `dir`. */
    mode?: 'dir' | 'overlay' | 'copy'
  }
  /** The session dies with this process. Default: false, it survives and can be restored. */
  ephemeral?: boolean
}

/** Where the sandbox is. The first of `northflank`, `daytona`, `e2b`, `local` that is set counts. */
export interface EnvironmentConfig {
  northflank?: NorthflankConfig
  daytona?: DaytonaConfig
  e2b?: E2BConfig
  modal?: ModalConfig
  /** The sandbox of this package: no server, no account. */
  local?: LocalOptions
}

/** A repository and the token for it. */
export interface GithubConfig {
  token: string
  /** `owner/repo`, or the repository's address. */
  repository: string
  /** Address of a GitHub Enterprise server, like `https://ghe.example.com`. Default: `GITHUB_SERVER_URL`, else GitHub's own. */
  baseUrl?: string
}

/** Directories of their own for branches. */
export interface WorktreeOptions {
  /** Where they are. Default: `<workingDirectory>-wt`. */
  root?: string
  /** Whether `pushToBranch()` removes a branch's directory once it is pushed. Default: true. */
  cleanup?: boolean
}

/** A label of a pull request. */
export interface LabelOptions {
  name: string
  /** Six hexadecimal digits, without a number sign. */
  color: string
  description: string
}

/** What a pull request resolves with: GitHub's own fields, the branch and the commit. */
export interface PullRequestResult {
  id: number
  number: number
  state: string
  title: string
  body: string
  html_url: string
  /** GitHub's object of the branch that is to be merged. */
  head: unknown
  /** GitHub's object of the branch it is to be merged into. */
  base: unknown
  user: unknown
  created_at: string
  updated_at: string
  merged: boolean
  mergeable: boolean | null
  merge_commit_sha: string | null
  branchName: string
  /** Abbreviated; absent where `git commit` does not tell, as for branches with a slash in their name. */
  commitSha?: string
}

export interface MergePullRequestOptions {
  pullNumber: number
  commitTitle?: string
  commitMessage?: string
  /** Default: `merge`. */
  mergeMethod?: 'merge' | 'squash' | 'rebase'
}

export interface MergePullRequestResult {
  sha: string
  merged: boolean
  message: string
}

/** The telemetry of older releases. */
export interface TelemetryConfig {
  isEnabled: boolean
  endpoint?: string
  serviceName?: string
  serviceVersion?: string
  headers?: Record<string, string>
  timeout?: number
  samplingRatio?: number
  resourceAttributes?: Record<string, string>
}

/** What `new VibeKit(config)` takes. */
export interface VibeKitConfig {
  agent: AgentConfig
  /** May be left out when `sandbox` is given. */
  environment?: EnvironmentConfig
  /** A provider object; wins over `environment`. */
  sandbox?: SandboxProvider
  secrets?: SecretsConfig
  github?: GithubConfig
  /** Branches get directories of their own. `enabled: false` is the same as leaving it out. */
  worktrees?: WorktreeOptions & { enabled?: boolean }
  /** A session to continue. */
  sessionId?: string
  /** Absolute path inside the sandbox. Default: `/vibe0`. */
  workingDirectory?: string
  /** @deprecated Accepted so that older code compiles, and ignored: this version sends no telemetry. */
  telemetry?: TelemetryConfig
}

// ---- the fluent generation -----------------------------------------------------------------------------------------

/** What `withAgent()` takes. */
export interface VibeKitAgent {
  type: AgentType
  /** Default: as {@link AgentModel.provider}. */
  provider?: ModelProvider
  /** Default: the vendor's usual environment variable. */
  apiKey?: string
  /** The same as `apiKey`. */
  providerApiKey?: string
  /** Claude only: a subscription token, used when there is no key. */
  oauthToken?: string
  /** Model name in the agent's spelling. Default: the agent's own. */
  model?: string
  /** Where the vendor's API is. */
  baseUrl?: string
  /** For calls that do not say it themselves. Default: `code`. */
  mode?: AgentMode
  /** Further instructions, given to the agent as system text. */
  instructions?: string
  /** More environment for the agent's process alone. */
  env?: Record<string, string>
}

// ---- calls ---------------------------------------------------------------------------------------------------------

/** Functions called beside the events. */
export interface StreamCallbacks {
  /** Each message, as the `update` event. */
  onUpdate?(message: string): void
  /** What a failing call rejects with, as the `error` event. */
  onError?(error: string): void
}
export type VibeKitStreamCallbacks = StreamCallbacks
export type CodexStreamCallbacks = StreamCallbacks
export type ClaudeStreamCallbacks = StreamCallbacks
export type OpenCodeStreamCallbacks = StreamCallbacks
export type GeminiStreamCallbacks = StreamCallbacks
export type GrokStreamCallbacks = StreamCallbacks

/** Options of every call that waits. */
export interface CallOptions {
  /**
   * Aborting it stops the work, and then rejects the call with the signal's own `reason`. If that is the `AbortError` an
   * `AbortController` makes by itself, its `cause` tells what was stopped. A signal that is aborted already rejects before
   * anything starts.
   */
  signal?: AbortSignal
}

export interface GenerateCodeOptions extends CallOptions {
  /** Reaches the agent byte for byte, whatever its size. */
  prompt: string
  /** Default: the agent's `mode`, else `code`. */
  mode?: AgentMode
  /** Branch to work on. */
  branch?: string
  /** Earlier conversation, used when the agent has none of its own to continue. */
  history?: readonly Conversation[]
  callbacks?: StreamCallbacks
  /** Milliseconds of running time. Default: 3 600 000; 0 is no limit. */
  timeoutMs?: number
  /** Bytes kept per stream for the result. Default: 64 MiB; events are not affected. */
  maxOutputBytes?: number
}

export interface RunTestsOptions extends CallOptions {
  branch?: string
  history?: readonly Conversation[]
  callbacks?: StreamCallbacks
  /** Milliseconds of running time. Default: 3 600 000; 0 is no limit. */
  timeoutMs?: number
}

export interface ExecuteCommandOptions extends CallOptions {
  /** Milliseconds of running time, after which the whole process tree is stopped. Default: 3 600 000; 0 is no limit. */
  timeoutMs?: number
  /** Return at once and let it run on. Default: false. */
  background?: boolean
  /** Branch to work on. */
  branch?: string
  callbacks?: StreamCallbacks
  /** Environment of this command alone. */
  env?: Record<string, string>
  /** Text for standard input. Default: end of file at once. */
  stdin?: string
  /** Bytes kept per stream for the result. Default: 64 MiB; events are not affected. */
  maxOutputBytes?: number
}

/** How a command ended. */
export interface Ending {
  /** A non-zero code resolves like any other: it is the command's answer. */
  exitCode: number
  stdout: string
  stderr: string
  /** The signal that ended it. */
  signal?: number
  /** True when its own time limit ended it. */
  timedOut?: boolean
  /** Present when its process tree was stopped. */
  stopped?: { processes: number; names: string[]; sessionReset: boolean }
  /** True when a memory limit ended it. */
  outOfMemory?: boolean
  /** True when the connection to a remote sandbox broke while it ran: what it wrote meanwhile is missing. */
  outputGap?: boolean
  /** Bytes of standard output beyond `maxOutputBytes`. */
  stdoutDropped?: number
  /** Bytes of standard error beyond `maxOutputBytes`. */
  stderrDropped?: number
}

/** What a call resolves with. A provider's own further fields are passed through. */
export interface AgentResponse extends Ending {
  /** The session it ran in. */
  sandboxId: string
}
export type CodexResponse = AgentResponse
export type ClaudeResponse = AgentResponse
export type OpenCodeResponse = AgentResponse
export type GeminiResponse = AgentResponse
export type GrokResponse = AgentResponse

// ---- events --------------------------------------------------------------------------------------------------------

/** Tokens and cost. */
export interface Usage {
  /** Not served from a cache. */
  inputTokens: number
  cachedInputTokens: number
  cacheWriteTokens: number
  outputTokens: number
  reasoningTokens: number
  costUsd?: number
}

/** Why an agent failed, in words all agents share. */
export type AgentErrorCode =
  | 'auth'
  | 'permission'
  | 'rate_limit'
  | 'overloaded'
  | 'server'
  | 'invalid_request'
  | 'model_not_found'
  | 'max_turns'
  | 'budget'
  | 'context'
  | 'network'
  | 'timeout'
  | 'cancelled'
  | 'spawn'
  | 'protocol'
  | 'unknown'

/** What happened, in one vocabulary for all agents. */
export type AgentEventBody =
  | { type: 'session_started'; model?: string; cwd?: string; agentVersion?: string; resumed: boolean }
  | { type: 'text_delta' | 'text' | 'thought_delta'; messageId: string; text: string }
  | {
      type: 'tool_call'
      toolCallId: string
      /** The agent's own name of the tool. */
      name: string
      kind: 'read' | 'edit' | 'delete' | 'move' | 'search' | 'execute' | 'think' | 'fetch' | 'other'
      title?: string
      input: unknown
      parentToolCallId?: string
    }
  | {
      type: 'tool_result'
      toolCallId: string
      status: 'completed' | 'failed'
      output?: string
      exitCode?: number
      error?: string
    }
  | { type: 'file_change'; toolCallId?: string; path: string; change: 'add' | 'update' | 'delete'; diff?: string }
  | { type: 'plan'; entries: Array<{ content: string; status: string }> }
  | ({ type: 'usage' } & Usage)
  | {
      type: 'notice'
      severity: 'info' | 'warning'
      code: string
      message: string
      attempt?: number
      delayMs?: number
    }
  | { type: 'error'; code: AgentErrorCode; message: string; httpStatus?: number; retryable: boolean; fatal: boolean }
  | { type: 'raw'; line: string }
  | {
      /** Exactly one per turn, always last. */
      type: 'finished'
      outcome: 'success' | 'error' | 'cancelled' | 'timeout'
      stopReason?: string
      exitCode?: number
      signal?: number
      /** The agent's last message. */
      resultText: string
      usage: Usage
      /** Milliseconds. */
      durationMs: number
      turns?: number
      error?: { code: AgentErrorCode; message: string; httpStatus?: number; retryable: boolean }
      filesChanged: string[]
    }

/** One event of an agent's turn. */
export type AgentEvent = {
  /** Version of this envelope. */
  v: 1
  /** Position in the session's stream, from 1, never repeated. */
  seq: number
  /** Milliseconds since the Unix epoch. */
  time: number
  agent: AgentType
  sessionId: string | null
  /** The agent's own id of the conversation, once known. */
  nativeSessionId?: string
  turnId: number
  /** Present and true for events this package made because the agent did not give them. */
  synthetic?: boolean
} & AgentEventBody

/** Names and arguments of the events. */
export interface VibeKitEvents {
  /** A message or a piece of a command's output. */
  stdout: [chunk: string]
  /** What a failing call rejects with. */
  stderr: [chunk: string]
  /** A message of the agent. */
  update: [message: string]
  /** What a failing call rejects with. Emitted only if it is listened to. */
  error: [error: string]
  /** A turn's events in one vocabulary for all agents. */
  event: [event: AgentEvent]
}

// ---- the class -----------------------------------------------------------------------------------------------------

/** The agent of a {@link VibeKit}, once its first call has made it. */
export interface VibeKitAgentHandle {
  getSession(): Promise<string | null>
  setSession(sessionId: string): Promise<void>
  executeCommand(command: string, options?: ExecuteCommandOptions): Promise<AgentResponse>
  getHost(port: number): Promise<string>
  killSandbox(): Promise<void>
  pauseSandbox(): Promise<void>
  resumeSandbox(): Promise<void>
}

/**
 * Runs an agent and commands in a sandbox. The first call that works creates the sandbox; calls made at the same time share it.
 *
 * Failures reject with an `Error` of the shape {@link VibeKitError}. With no usable agent every method of an object made from
 * a configuration rejects with `Error("Agent not initialized")`, whose `cause` says what is missing; the constructor
 * itself never throws for what a configuration holds.
 */
export class VibeKit extends EventEmitter {
  /** Without an argument the object is configured with the `with*` methods. */
  constructor(config?: VibeKitConfig)

  /** `undefined` until the first call that works. */
  agent: VibeKitAgentHandle | undefined

  withAgent(agent: VibeKitAgent | AgentConfig): this
  /** A provider object, such as {@link createLocalProvider} or any published provider package makes. */
  withSandbox(provider: SandboxProvider): this
  /** A repository that the first `generateCode()` in a new sandbox clones. */
  withGithub(github: GithubConfig): this
  /** The same as `withGithub()`. */
  withGitHub(github: GithubConfig): this
  /** Absolute path inside the sandbox. Default: `/vibe0`. */
  withWorkingDirectory(path: string): this
  withSecrets(secrets: SecretsConfig): this
  /** Calls with a `branch` work in a directory of that branch's own. */
  withWorktrees(options?: WorktreeOptions): this
  /** A session to continue. */
  withSession(sandboxId: string): this

  /** The current session's id, `null` while there is none. Never touches the network. */
  getSession(): Promise<string | null>
  /** Restores or switches to a session; effective at once, before and after the first run. */
  setSession(sessionId: string, options?: CallOptions): Promise<void>

  /** Runs the agent on a prompt. Rejects with `AGENT_FAILED` if it does not succeed. */
  generateCode(options: GenerateCodeOptions): Promise<AgentResponse>
  generateCode(
    prompt: string,
    mode?: AgentMode,
    history?: readonly Conversation[],
    callbacks?: StreamCallbacks,
  ): Promise<AgentResponse>

  /** Lets the agent install dependencies and run the tests. */
  runTests(options?: RunTestsOptions): Promise<AgentResponse>

  /** Runs a line in the sandbox's shell. */
  executeCommand(command: string, options?: ExecuteCommandOptions): Promise<AgentResponse>

  /**
   * Clones a repository, with `secrets.GH_TOKEN` if it is set. The token is in no address, no argument and no file; git in the
   * sandbox asks the sandbox's own `GH_TOKEN` for it, so that later pulls and pushes work too.
   */
  cloneRepository(repository: string, directory?: string, options?: CallOptions): Promise<void>

  /**
   * Commits what changed to a new branch, pushes it and opens a pull request. The agent's model writes title, body, branch and
   * commit message; it sees the diff without what looks like a secret. The token is `secrets.GH_TOKEN`, else that of `github`.
   *
   * Rejects with `NO_CHANGES`, `GITHUB_FAILED` or `MODEL_FAILED`, and with a provider's own error as it is.
   */
  createPullRequest(repository: string, label?: LabelOptions, branchPrefix?: string, options?: CallOptions): Promise<PullRequestResult>
  /** For the repository of `github` or `withGithub()`. */
  createPullRequest(label?: LabelOptions, branchPrefix?: string, options?: CallOptions): Promise<PullRequestResult>
  /** The form of older releases: for objects made from a configuration, the directory of the project comes first. */
  createPullRequest(
    projectPath: string | undefined,
    label?: LabelOptions,
    branchPrefix?: string,
    options?: CallOptions,
  ): Promise<PullRequestResult>

  /** Commits what changed and pushes it. Default: the branch of the last call that had one. */
  pushToBranch(branch?: string, options?: CallOptions): Promise<void>

  /** Merges a pull request. Needs neither an agent nor a sandbox. Rejects with `GITHUB_FAILED`. */
  mergePullRequest(options: MergePullRequestOptions & { repository: string } & CallOptions): Promise<MergePullRequestResult>

  /** Changes the token, effective at once. */
  setGithubToken(token: string): void
  /** Changes the repository, effective at once. */
  setGithubRepository(repository: string): void

  /** Ends the sandbox and all in it; the session is gone afterwards. Does nothing if there is none. */
  kill(options?: CallOptions): Promise<void>
  /** Freezes the sandbox. Does nothing if there is none. */
  pause(options?: CallOptions): Promise<void>
  /** Thaws the sandbox. Does nothing if there is none. */
  resume(options?: CallOptions): Promise<void>

  /** Name under which a port of the sandbox is reachable: `localhost:<port>` for the embedded one, the provider's answer for others. */
  getHost(port: number, options?: CallOptions): Promise<string>

  /** Stops what runs and lets go of the session, which another process may then take; an ephemeral one ends. */
  dispose(): Promise<void>
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>

  on<E extends keyof VibeKitEvents>(event: E, listener: (...args: VibeKitEvents[E]) => void): this
  on(event: string | symbol, listener: (...args: unknown[]) => void): this
  addListener<E extends keyof VibeKitEvents>(event: E, listener: (...args: VibeKitEvents[E]) => void): this
  addListener(event: string | symbol, listener: (...args: unknown[]) => void): this
  once<E extends keyof VibeKitEvents>(event: E, listener: (...args: VibeKitEvents[E]) => void): this
  once(event: string | symbol, listener: (...args: unknown[]) => void): this
  off<E extends keyof VibeKitEvents>(event: E, listener: (...args: VibeKitEvents[E]) => void): this
  off(event: string | symbol, listener: (...args: unknown[]) => void): this
}

// ---- errors --------------------------------------------------------------------------------------------------------

/** Stable reasons. */
export type ErrorCode =
  | 'AGENT_NOT_INITIALIZED'
  | 'AGENT_NOT_INSTALLED'
  | 'AGENT_FAILED'
  | 'ABORTED'
  | 'INVALID_ARGUMENT'
  | 'INVALID_TYPE'
  | 'SESSION_NOT_FOUND'
  | 'SESSION_IN_USE'
  | 'SANDBOX_KILLED'
  | 'SANDBOX_PAUSED'
  | 'SANDBOX_LOST'
  | 'DISPOSED'
  | 'TIMEOUT'
  | 'SPAWN_FAILED'
  | 'LOCAL_SANDBOX_UNSUPPORTED'
  | 'ATTESTATION_FAILED'
  | 'LIMIT_UNSUPPORTED'
  | 'UNSUPPORTED'
  | 'FILE_ERROR'
  | 'STATE_UNWRITABLE'
  | 'STATE_VERSION'
  | 'STATE_CORRUPT'
  | 'DISK_FULL'
  | 'AUTHENTICATION_FAILED'
  | 'PERMISSION_DENIED'
  | 'RATE_LIMITED'
  | 'CONCURRENCY_LIMIT'
  | 'TEMPLATE_NOT_FOUND'
  | 'PROVIDER_FAILED'
  | 'GITHUB_FAILED'
  | 'MODEL_FAILED'
  | 'NO_CHANGES'
  | 'LISTENER_FAILED'
  | 'NATIVE_ADDON_UNAVAILABLE'
  | 'INTERNAL'

/**
 * The shape of this package's errors: plain `Error`s (`TypeError`s for `INVALID_TYPE`) with properties that do not show up in
 * listings. A type to narrow to, not a class.
 */
export interface VibeKitError extends Error {
  code: ErrorCode
  /** The configuration field or argument at fault, in your spelling. */
  field?: string
  /** What to do about it. */
  hint?: string
  /** Whether the same call may succeed later without any change. */
  retryable: boolean
  /** Whether the work was taken on, so that repeating the call would repeat it. */
  admitted?: 'yes' | 'no' | 'unknown'
  sessionId?: string
  exitCode?: number
  stdout?: string
  stderr?: string
  cause?: unknown
}

// ---- sandbox providers ---------------------------------------------------------------------------------------------

export interface SandboxExecutionResult {
  exitCode: number
  stdout: string
  stderr: string
}

export interface SandboxCommandOptions {
  /** Milliseconds. */
  timeoutMs?: number
  background?: boolean
  onStdout?: (data: string) => void
  onStderr?: (data: string) => void
}

export interface SandboxCommands {
  /** Resolves with the exit code, or rejects; both count. */
  run(command: string, options?: SandboxCommandOptions): Promise<SandboxExecutionResult>
}

export interface SandboxInstance {
  sandboxId: string
  commands: SandboxCommands
  kill(): Promise<void>
  pause(): Promise<void>
  getHost(port: number): Promise<string>
}

/** What `withSandbox()` takes. Any object of this shape works. */
export interface SandboxProvider {
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<SandboxInstance>
  resume(sandboxId: string): Promise<SandboxInstance>
}

/** Names of the providers there are packages for. */
export type ProviderType = 'cloudflare' | 'dagger' | 'daytona' | 'e2b' | 'northflank' | 'modal'

// ---- the embedded sandbox on its own -------------------------------------------------------------------------------

export interface LocalCommandOptions extends SandboxCommandOptions, CallOptions {
  /** Environment of this command alone. */
  env?: Record<string, string>
  /** Path inside the sandbox. Default: the working directory. */
  cwd?: string
  /** Text or bytes for standard input. Default: end of file at once. */
  stdin?: string | Uint8Array
  /** Bytes kept per stream for the result. Default: 64 MiB; callbacks are not affected. */
  maxOutputBytes?: number
}

export interface LocalExecutionResult extends Ending {}

export interface LocalCommands extends SandboxCommands {
  /** A string is a line for the shell; an array is a program and its arguments, run without one. Rejects with `SPAWN_FAILED` if it cannot start. */
  run(command: string | readonly string[], options?: LocalCommandOptions): Promise<LocalExecutionResult>
}

/** Files of a sandbox. Links that lead out of its writable directories are refused. Failures have the code `FILE_ERROR`. */
export interface LocalFiles {
  /** The whole content: bytes, or text if an encoding is given. */
  read(path: string): Promise<Buffer>
  read(path: string, encoding: BufferEncoding): Promise<string>
  /** Creates missing directories, replaces the content. */
  write(path: string, content: string | Uint8Array): Promise<void>
  /** Entries sorted by name. Default: the working directory. */
  list(path?: string): Promise<Array<{ name: string; kind: 'file' | 'directory' | 'symlink' | 'other'; size: number }>>
  /** A file or a whole directory. One that is missing is fine. */
  remove(path: string): Promise<void>
}

export interface LocalSandbox extends SandboxInstance {
  readonly sandboxId: string
  /** True after a restore that found the files but no processes (the machine was restarted, say). */
  readonly processesLost: boolean
  readonly commands: LocalCommands
  readonly files: LocalFiles
  /** Ends everything and forgets the session. */
  kill(): Promise<void>
  /** Freezes all processes; their time limits stop counting. */
  pause(): Promise<void>
  /** Thaws them. */
  resume(): Promise<void>
  /** `localhost:<port>` of this machine, a way in to a port of the sandbox. */
  getHost(port: number): Promise<string>
  /** Lets go of the sandbox, which another process may then resume; an ephemeral one ends. */
  release(): Promise<void>
  /** The same as `release()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface LocalProvider extends SandboxProvider {
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<LocalSandbox>
  /** Rejects with `SESSION_NOT_FOUND` or `SESSION_IN_USE`. */
  resume(sandboxId: string): Promise<LocalSandbox>
  /** Finds out by trying what this machine can do. Rejects with `LOCAL_SANDBOX_UNSUPPORTED` where it cannot run the sandbox. */
  probe(): Promise<LocalSupport>
}

/** What a machine gives the embedded sandbox. */
export interface LocalSupport {
  /** Isolation in force. */
  tier: 'namespaces'
  /** Landlock version, 0 where the kernel has none. */
  landlock: number
  /** True when sessions run under a host user of their own (the process is root's). */
  ownUser: boolean
  /** True when memory and CPU limits hold for a session as a whole. */
  cgroups: boolean
  /** Limits that cannot be enforced here, by name. */
  unenforced: string[]
  /** Microseconds the probe took. */
  probeUs: number
}

/**
 * The embedded sandbox as a provider, for `withSandbox()` or on its own. Throws if an option is wrong; opening rejects with
 * `LOCAL_SANDBOX_UNSUPPORTED` where this host cannot give the isolation.
 */
export function createLocalProvider(options?: LocalOptions): LocalProvider

// ---- constants -----------------------------------------------------------------------------------------------------

/** An entry of {@link AGENT_TEMPLATES} or {@link PROVIDER_TEMPLATES}. */
export interface Template<Name extends string> {
  name: Name
  display: string
  message: string
}

export const AGENT_TYPES: {
  readonly CLAUDE: 'claude'
  readonly CODEX: 'codex'
  readonly GEMINI: 'gemini'
  readonly GROK: 'grok'
  readonly OPENCODE: 'opencode'
}
export const AGENT_LIST: AgentType[]
export const AGENT_TEMPLATES: Array<Template<AgentType>>
export const AGENT_DISPLAY_NAMES: Record<AgentType, string>
export const AGENT_DESCRIPTIONS: Record<AgentType, string>
export const AGENT_PROVIDERS: Record<AgentType, string>
export const AGENT_CAPABILITIES: Record<AgentType, string[]>

export const SANDBOX_PROVIDERS: {
  readonly CLOUDFLARE: 'Cloudflare'
  readonly DAGGER: 'Dagger'
  readonly DAYTONA: 'Daytona'
  readonly E2B: 'E2B'
  readonly NORTHFLANK: 'Northflank'
  readonly MODAL: 'Modal'
}
/** One of the values of the constant of the same name. */
export type SANDBOX_PROVIDERS = (typeof SANDBOX_PROVIDERS)[keyof typeof SANDBOX_PROVIDERS]
export const PROVIDER_TYPES: {
  readonly CLOUDFLARE: 'cloudflare'
  readonly DAGGER: 'dagger'
  readonly DAYTONA: 'daytona'
  readonly E2B: 'e2b'
  readonly NORTHFLANK: 'northflank'
  readonly MODAL: 'modal'
}
export const PROVIDER_TEMPLATES: Array<Template<ProviderType>>
export const PROVIDER_DISPLAY_NAMES: Record<ProviderType, string>
export const PROVIDER_DESCRIPTIONS: Record<ProviderType, string>
