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
  /** The vendor's key. */
  apiKey: string
  /** Claude only: a subscription token, used when there is no key. Default: `CLAUDE_CODE_OAUTH_TOKEN`. */
  oauthToken?: string
  /** Where the vendor's API is. Default: the vendor's own address. */
  baseUrl?: string
}

/** The agent of a configuration. */
export interface AgentConfig {
  type: AgentType
  /** May be left out, or be without a key, when that comes from the vendor's usual environment variable, such as `ANTHROPIC_API_KEY`. */
  model?: Partial<AgentModel>
  /** For calls that do not say it themselves. Default: `code`. */
  mode?: AgentMode
  /** Further instructions, given to the agent as system text. */
  instructions?: string
  /** More environment for the agent's process alone. */
  env?: Record<string, string>
}

/** Options of E2B. Those left out come from the official client's environment variables, where there is one. */
export interface E2BOptions {
  /** Default: `E2B_API_KEY`. */
  apiKey?: string
  /** Default: the agent's own, such as `vibekit-claude`; `vibekit-codex` without an agent. */
  templateId?: string
  /** Where the service is. Default: `E2B_DOMAIN`, else `e2b.app`. */
  domain?: string
  /** Base URL of the control plane. Default: `E2B_API_URL`, else `https://api.<domain>`. */
  apiUrl?: string
  /** Base URL of the daemon of all sandboxes. Default: `E2B_SANDBOX_URL`, else by the domain. */
  sandboxUrl?: string
  /** Lifetime of a sandbox in milliseconds, counted anew while commands run. Default: 3 600 000. */
  timeoutMs?: number
  /** Limit on one request in milliseconds. Default: 60 000. */
  requestTimeoutMs?: number
  /** Metadata of new sandboxes, for finding them in the service. */
  metadata?: Record<string, string>
  /** At the end of its lifetime a sandbox is paused instead of killed. Default: false. */
  autoPause?: boolean
  /** User of the template that commands run as. Default: the template's own. */
  user?: string
}

export interface E2BConfig extends E2BOptions {
  apiKey: string
}

/** Options of Daytona. A wrong one is refused with its name and a remedy. Nothing is read from `.env` files. */
export interface DaytonaConfig {
  /** Default: `DAYTONA_API_KEY`. */
  apiKey: string
  /** An image of a registry. Default: the published image of the agent, `ubuntu:22.04` without one. The first use builds it. */
  image?: string
  /** Base URL of the API. Default: `DAYTONA_API_URL`, `DAYTONA_SERVER_URL`, `https://app.daytona.io/api`. */
  serverUrl?: string
  /** The same as `serverUrl`, under the name Daytona's own client has for it. */
  apiUrl?: string
  /** Instead of a key; default: `DAYTONA_JWT_TOKEN`. Needs `organizationId`. */
  jwtToken?: string
  /** The organisation a JWT is used for. Default: `DAYTONA_ORGANIZATION_ID`. */
  organizationId?: string
  /** Region. Default: `DAYTONA_TARGET`, else the organisation's own. */
  target?: string
  /** A snapshot of the organisation instead of an image. */
  snapshot?: string
  /** Whole cores, GiB of memory, GiB of disk. Default: the service's own. */
  resources?: { cpu?: number; memory?: number; disk?: number }
  /** Whether ports can be reached without a token. Default: the service's own, no. */
  public?: boolean
  /** Minutes without use after which the service stops the sandbox, 0 for never. Default: the service's own. */
  autoStopInterval?: number
  /** Milliseconds for making or starting a sandbox, building its image included. Default: 300 000. */
  createTimeoutMs?: number
  /** Where commands start if nobody says otherwise. Default: `/vibe0`. */
  workingDirectory?: string
}

/** Options of Northflank. A wrong one is refused with its name and a remedy. */
export interface NorthflankConfig {
  /** Default: `NORTHFLANK_API_KEY`, `NORTHFLANK_API_TOKEN`. */
  apiKey: string
  /** An image of a public registry. Default: the published image of the agent, `ubuntu:22.04` without one. */
  image?: string
  /** Id of the project. Default: `NORTHFLANK_PROJECT_ID`. */
  projectId?: string
  /** Default: `nf-compute-200`. */
  billingPlan?: string
  /** Mebibytes of the volume in the working directory. Default: 10 240. */
  persistentVolumeStorage?: number
  /** Mebibytes of everything else. Default: 2 048. */
  ephemeralStorage?: number
  /** Where commands start and the volume is, if nobody says otherwise. Default: `/var/vibe0`. */
  workingDirectory?: string
  /** Base URL. Default: `NORTHFLANK_API_URL`, `https://api.northflank.com`. */
  apiUrl?: string
  /** Milliseconds until a sandbox runs. Default: 300 000. */
  createTimeoutMs?: number
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

/** Options of containers. All are optional; a wrong one is refused with its name and a remedy. */
export interface DockerOptions {
  /**
   * The engine: `unix:///path/of/the/socket`, `tcp://host:port`, or a path. Default: `DOCKER_HOST`, the chosen `docker context`,
   * `CONTAINER_HOST`, then the usual sockets of Docker and Podman. `https:`, `tcp:` with `DOCKER_TLS_VERIFY`, and contexts with
   * certificates are spoken to over TLS; `DOCKER_CERT_PATH` says where `ca.pem`, `cert.pem` and `key.pem` are.
   */
  host?: string
  /** Default: the published image of the agent (`superagentai/vibekit-claude:1.0` …), `ubuntu:22.04` without one. Needs a POSIX shell. */
  image?: string
  /** When the image is fetched. Default: `missing`. */
  pull?: 'missing' | 'always' | 'never'
  /** Ports that `getHost()` can name, published on the loopback address. They are fixed when the container is made. */
  ports?: readonly number[]
  /** `allow`: the engine's usual network. `deny`: none. Else the name of a network of the engine. Default: `allow`. */
  network?: 'allow' | 'deny' | (string & {})
  /** Who commands run as. Default: the image's user if that is not root, else `1000:1000`. */
  user?: string
  /** Runtime the engine knows, such as `runsc`. Default: the engine's. */
  runtime?: string
  /** The container ends with this process. Default: false, it survives and can be resumed by its id. */
  ephemeral?: boolean
  limits?: {
    /** Bytes, without swap. Default: 4 GiB. */
    memory?: number
    /** Processes and threads. Default: 2048. */
    pids?: number
    /** Cores; fractions count. Default: all. */
    cpu?: number
  }
  /** Milliseconds for reaching the engine. Default: 30 000. */
  connectionTimeout?: number
  /** As in the older package for Dagger: host of a registry that has `vibekit-<agent>:latest`. */
  privateRegistry?: string
  /** As there: the user whose images `vibekit-<agent>:latest` are taken. */
  registryUser?: string
  /** The same as `registryUser`. */
  dockerHubUser?: string
  /** As there. `false`: the engine's own `vibekit-<agent>:latest`. Default: true. */
  preferRegistryImages?: boolean
}

/** Where the sandbox is. The first of `northflank`, `daytona`, `e2b`, `docker`, `local` that is set counts. */
export interface EnvironmentConfig {
  northflank?: NorthflankConfig
  daytona?: DaytonaConfig
  e2b?: E2BConfig
  modal?: ModalConfig
  /** Containers of a Docker or Podman engine. */
  docker?: DockerOptions
  /** The sandbox of this package: no server, no account. */
  local?: LocalOptions
}

/**
 * The same for `new VibeKit(…)`, where a key may be left out when its environment variable has it: `E2B_API_KEY`,
 * `DAYTONA_API_KEY` (or `DAYTONA_JWT_TOKEN`), `NORTHFLANK_API_KEY`.
 */
export type EnvironmentOptions = { [Name in keyof EnvironmentConfig]?: Partial<NonNullable<EnvironmentConfig[Name]>> }

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
  /** Where they are. Default: `<workingDirectory>-wt`, and `<workingDirectory>/.worktrees` with native providers. */
  root?: string
  /** Whether `pushToBranch()` removes a branch's directory once it is pushed. Default: true. */
  cleanup?: boolean
}

/** OpenTelemetry spans of calls, as OTLP over HTTP. */
export interface TelemetryConfig {
  /** Nothing is measured or sent unless this is true and there is an `endpoint`. */
  isEnabled: boolean
  /** Where spans are sent by POST, as it is: `https://collector.example/v1/traces`. */
  endpoint?: string
  /** `service.name` of the resource. Default: `vibekit`. */
  serviceName?: string
  /** `service.version` of the resource. Default: `1.0.0`. */
  serviceVersion?: string
  /** Sent with every request. Never logged. */
  headers?: Record<string, string>
  /** Milliseconds for one request, and for all that is left when the process ends. Default: 5 000. */
  timeout?: number
  /** Share of the objects that measure, from 0 to 1, drawn once when an object is made. Default: 1. */
  samplingRatio?: number
  /** More attributes of the resource. */
  resourceAttributes?: Record<string, string>
}

/** What `withTelemetry()` takes: `enabled` is another name of `isEnabled`, as in the first fluent releases. */
export type TelemetryOptions = Partial<TelemetryConfig> & {
  enabled?: boolean
  /** `vibekit.session_id` of the spans. Default: the object's session, else one made up. */
  sessionId?: string
}

/** What a span of this package tells. */
export interface TelemetryData {
  sessionId: string
  agentType: string
  mode: string
  prompt: string
  /** Milliseconds since the Unix epoch. */
  timestamp: number
  eventType: 'start' | 'stream' | 'end' | 'error'
  sandboxId?: string
  repoUrl?: string
  streamData?: string
  error?: string
  metadata?: Record<string, unknown>
}

/** What `new VibeKit(…)` takes. */
export interface VibeKitOptions {
  agent: AgentConfig
  /** May be left out when `sandbox` is given. */
  environment?: EnvironmentOptions
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
  telemetry?: TelemetryConfig
}

/** The same with all that the configuration generation required, as code of that time reads it. */
export interface VibeKitConfig extends VibeKitOptions {
  agent: AgentConfig & { model: AgentModel }
  environment: EnvironmentConfig
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
  /**
   * Passed to a JavaScript provider with the agent's command, which may then answer before the agent is done. A turn in a
   * native sandbox is always waited for.
   */
  background?: boolean
  /** Milliseconds of running time. Default: 3 600 000; 0 is no limit. */
  timeoutMs?: number
  /** Bytes kept per stream for the result. Default: 64 MiB; events are not affected. */
  maxOutputBytes?: number
}

/** Options of `runTests()`. */
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
  /**
   * Neither the command nor anything it starts can change a file in the working directory; home and `/tmp` stay
   * writable. `local` environment only; others refuse with `UNSUPPORTED`. Default: false.
   */
  readOnly?: boolean
  /** Branch to work on. */
  branch?: string
  callbacks?: StreamCallbacks
  /** @deprecated Accepted and ignored: commands run in the working directory. */
  useRepoContext?: boolean
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

/** What a call resolves with. */
export interface AgentResponse extends Ending {
  /** The session it ran in. */
  sandboxId: string
}

/** What a command resolves with: a provider's own further fields are passed through. */
export type CommandResponse = AgentResponse & { readonly [field: string]: unknown }

export interface CodexResponse extends AgentResponse {
  /** @deprecated Never set. */
  patch?: string
  /** @deprecated Never set. */
  patchApplyScript?: string
  /** @deprecated Never set. */
  branchName?: string
  /** @deprecated Never set. */
  commitSha?: string
}
export type ClaudeResponse = CodexResponse
export type OpenCodeResponse = CodexResponse
export type GeminiResponse = CodexResponse
export type GrokResponse = CodexResponse

// ---- pull requests -------------------------------------------------------------------------------------------------

/** The label a pull request gets. */
export interface LabelOptions {
  name: string
  /** Six hexadecimal digits, without `#`. */
  color: string
  description: string
}

/** A repository as GitHub describes it. */
export interface GithubRepository {
  id: number
  name: string
  full_name: string
  html_url: string
  readonly [field: string]: unknown
}

/** A new pull request: GitHub's own fields, then the branch and commit that were made for it. */
export interface PullRequestResult {
  id: number
  number: number
  state: string
  title: string
  body: string | null
  html_url: string
  head: { ref: string; sha: string; repo: GithubRepository }
  base: { ref: string; sha: string; repo: GithubRepository }
  user: { login: string; id: number; avatar_url: string; html_url: string }
  created_at: string
  updated_at: string
  merged: boolean
  mergeable: boolean | null
  merge_commit_sha: string | null
  branchName: string
  commitSha?: string
}

/** What `createPullRequest()` of the configuration generation was declared to give. */
export type PullRequestResponse = Pick<PullRequestResult, 'html_url' | 'number' | 'branchName' | 'commitSha'>

export interface MergePullRequestOptions {
  pullNumber: number
  commitTitle?: string
  commitMessage?: string
  /** Default: `merge`. */
  mergeMethod?: 'merge' | 'squash' | 'rebase'
}

export interface MergePullRequestResult {
  /** Of the merge commit. */
  sha: string
  merged: boolean
  message: string
}

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

/**
 * The agent of a {@link VibeKit}: an object of one of the agents' classes. Upstream has it as `any`, so what the classes keep to
 * themselves for their subclasses is in reach here too.
 */
export interface VibeKitAgentHandle extends Pick<BaseAgent, keyof BaseAgent> {
  getApiKey(): string | undefined
  getAgentType(): AgentType
  getDefaultTemplate(): string
  getModelConfig(): ModelConfig
  getCommandConfig(prompt: string, mode?: AgentMode): AgentCommandConfig
  getEnvironmentVariables(): Record<string, string | undefined>
  /** A text as it has to stand between double quotes in a shell. */
  escapePrompt(text: string): string
  readonly config: BaseAgentConfig
  /** The live sandbox of a JavaScript provider. */
  readonly sandboxInstance: SandboxInstance | undefined
  readonly lastPrompt: string | undefined
  readonly currentBranch: string | undefined
  readonly currentWorktreeDir: string | undefined
  readonly WORKING_DIR: string
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
  constructor(config?: VibeKitOptions)

  /** Made by the first call that works; before that there is none, whatever the type says (that of upstream, for its users' code). */
  agent: VibeKitAgentHandle

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
  /** OpenTelemetry spans of `generateCode()` and `executeCommand()`. */
  withTelemetry(telemetry: TelemetryOptions): this

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
  runTests(options?: RunTestsOptions): Promise<CommandResponse>

  /** Runs a line in the sandbox's shell. */
  executeCommand(command: string, options?: ExecuteCommandOptions): Promise<CommandResponse>

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

// ---- agents on their own -------------------------------------------------------------------------------------------

/** A sandbox as the configuration generation described it to its agents. */
export interface SandboxConfig {
  type: ProviderType
  apiKey: string
  templateId?: string
  image?: string
  serverUrl?: string
  projectId?: string
  billingPlan?: string
  persistentVolume?: string
  persistentVolumeStorage?: number
  workingDirectory?: string
  encryptedPorts?: number[]
  h2Ports?: number[]
}

/** What all agents take. */
export interface BaseAgentConfig {
  /** Whose sandboxes it works in. Without one, and without `sandboxConfig`, every call that needs a sandbox rejects. */
  sandboxProvider?: SandboxProvider
  /** The same in the words of the configuration generation. */
  sandboxConfig?: SandboxConfig
  secrets?: Record<string, string>
  /** A session to continue. */
  sandboxId?: string
  /** Absolute path inside the sandbox. Default: `/vibe0`. */
  workingDirectory?: string
  worktrees?: { enabled?: boolean; root?: string; cleanup?: boolean }
  githubToken?: string
  /** `owner/repo`. */
  repoUrl?: string
  telemetry?: TelemetryConfig
  /** @deprecated Accepted so that older code compiles, and ignored: give `sandboxConfig`. */
  e2bApiKey?: string
  /** @deprecated Accepted so that older code compiles, and ignored: give `sandboxConfig`. */
  e2bTemplateId?: string
}

/** What the agents take. */
export interface CodexConfig extends BaseAgentConfig {
  /** The vendor's key. */
  providerApiKey?: string
  /** Default: as {@link AgentModel.provider}. */
  provider?: ModelProvider
  /** Model name in the agent's spelling. Default: the agent's own. */
  model?: string
}
export interface ClaudeConfig extends CodexConfig {
  /** A subscription token, used when there is no key. Default: `CLAUDE_CODE_OAUTH_TOKEN`. */
  oauthToken?: string
}
export interface OpenCodeConfig extends CodexConfig {}
export interface GeminiConfig extends CodexConfig {}
export interface GrokConfig extends CodexConfig {
  /** Where the vendor's API is. */
  baseUrl?: string
}

/** Which model writes commit messages and pull requests. */
export interface ModelConfig {
  provider: ModelProvider
  apiKey: string
  model?: string
  baseUrl?: string
}

/** How an agent is run where only a shell line can be given, and how its pull requests are labelled. */
export interface AgentCommandConfig {
  command: string
  errorPrefix: string
  labelName: string
  labelColor: string
  labelDescription: string
}

/**
 * What the agents' classes share. Calls have no events: messages and failures go to the callbacks of the call. Keys are kept
 * in properties that listings and logs do not show.
 */
export abstract class BaseAgent {
  constructor(config: BaseAgentConfig)
  protected readonly config: BaseAgentConfig
  protected sandboxInstance?: SandboxInstance
  protected lastPrompt?: string
  protected currentBranch?: string
  protected currentWorktreeDir?: string
  protected readonly WORKING_DIR: string

  /** The sandbox, created or resumed if there is none. */
  getSandbox(): Promise<SandboxInstance>
  killSandbox(): Promise<void>
  pauseSandbox(): Promise<void>
  resumeSandbox(): Promise<void>
  getSession(): Promise<string | null>
  setSession(sessionId: string): Promise<void>
  getHost(port: number): Promise<string>
  /** The branch the last call was told to work on. */
  getCurrentBranch(): string | undefined
  executeCommand(command: string, options?: ExecuteCommandOptions): Promise<CommandResponse>
  generateCode(
    prompt: string,
    mode?: AgentMode,
    branch?: string,
    history?: Conversation[],
    callbacks?: StreamCallbacks,
    background?: boolean,
  ): Promise<AgentResponse>
  runTests(
    branch?: string,
    history?: Conversation[],
    callbacks?: StreamCallbacks,
    background?: boolean,
  ): Promise<CommandResponse>
  pushToBranch(branch?: string): Promise<void>
  createPullRequest(repository: string, labelOptions?: LabelOptions, branchPrefix?: string): Promise<PullRequestResult>
  createPullRequest(labelOptions?: LabelOptions, branchPrefix?: string): Promise<PullRequestResult>
  setGithubToken(token: string): void
  setGithubRepository(repository: string): void

  protected getApiKey(): string | undefined
  protected getAgentType(): AgentType
  protected getDefaultTemplate(): string
  protected getModelConfig(): ModelConfig
  protected getCommandConfig(prompt: string, mode?: AgentMode): AgentCommandConfig
  protected getEnvironmentVariables(): Record<string, string | undefined>
  protected escapePrompt(text: string): string
}

/** Throws without `providerApiKey`. */
export class CodexAgent extends BaseAgent {
  constructor(config: CodexConfig)
}
/** Throws if `provider` is given and is not `anthropic`. */
export class ClaudeAgent extends BaseAgent {
  constructor(config: ClaudeConfig)
}
/** Throws without `providerApiKey`. */
export class OpenCodeAgent extends BaseAgent {
  constructor(config: OpenCodeConfig)
}
/** Throws if `provider` is given and is neither `gemini` nor `google`. */
export class GeminiAgent extends BaseAgent {
  constructor(config: GeminiConfig)
}
/** Throws if `provider` is given and is not `xai`, and without `providerApiKey`, `GROK_API_KEY` or `XAI_API_KEY`. */
export class GrokAgent extends BaseAgent {
  constructor(config: GrokConfig)
}

/** Each gives the class, as upstream's. */
export function createClaudeAgent(): Promise<typeof ClaudeAgent>
export function createCodexAgent(): Promise<typeof CodexAgent>
export function createOpenCodeAgent(): Promise<typeof OpenCodeAgent>
export function createGeminiAgent(): Promise<typeof GeminiAgent>
export function createGrokAgent(): Promise<typeof GrokAgent>

// ---- telemetry -----------------------------------------------------------------------------------------------------

/**
 * Spans of one session, sent by this object alone. The calls only take note; sending happens behind them, in batches, and its
 * failures never reach the caller.
 */
export class TelemetryService {
  /** Never throws: with an endpoint that is no URL, or a header that cannot be sent, it warns once and sends nothing. */
  constructor(config: TelemetryConfig, sessionId?: string)
  trackStart(agentType: string, mode: string, prompt: string, metadata?: Record<string, unknown>): void
  trackStream(
    agentType: string,
    mode: string,
    prompt: string,
    streamData: string,
    sandboxId?: string,
    repoUrl?: string,
    metadata?: Record<string, unknown>,
  ): void
  trackEnd(
    agentType: string,
    mode: string,
    prompt: string,
    sandboxId?: string,
    repoUrl?: string,
    metadata?: Record<string, unknown>,
  ): void
  trackError(agentType: string, mode: string, prompt: string, error: string, metadata?: Record<string, unknown>): void
  /** Sends what is left, for no longer than `timeout`, and stops. */
  shutdown(): Promise<void>
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
  /** It and what it starts can change no file in the working directory; `UNSUPPORTED` where that cannot be had. Default: false. */
  readOnly?: boolean
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
  /**
   * True after a restore that found the files but no processes (the machine was restarted, say). False when nothing ran that could have been
   * lost. What a finished command left running ends `idleTimeoutMs` after its last owner is gone, and counts as lost; a command in the background
   * stays.
   */
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
  /** True when commands can be held to reading (`readOnly`, and turns in `ask` mode). */
  readOnly: boolean
  /** True when sessions run under a host user of their own (the process is root's). */
  ownUser: boolean
  /** True when memory and CPU limits hold for a session as a whole. */
  cgroups: boolean
  /**
   * True when `pause()` is by the kernel's freezer, which nothing inside can notice; otherwise it is by signals, which parents of
   * the stopped processes see, and which something inside can undo for some milliseconds.
   */
  freezer: boolean
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

/** A container; its methods are those of the embedded sandbox. `getHost()` takes the ports of the options alone. */
export interface DockerSandbox extends LocalSandbox {}

export interface DockerProvider extends SandboxProvider {
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<DockerSandbox>
  /** Starts or thaws the container if need be. Rejects with `SESSION_NOT_FOUND`, also for containers of others. */
  resume(sandboxId: string): Promise<DockerSandbox>
  /** What the engine is. Rejects where there is none. */
  probe(): Promise<Record<string, unknown>>
}

/**
 * Containers of a Docker or Podman engine as a provider: without root's rights and capabilities, with limits on memory and
 * processes. Throws if an option is wrong; opening rejects if the engine or the image cannot be had.
 */
export function createDockerProvider(options?: DockerOptions): DockerProvider

/** What `commands.run()` of an {@link E2BSandbox} rejects with when the command does not succeed. */
export interface E2BCommandExitError extends Error, Ending {
  name: 'CommandExitError'
  /** The same as `message`: `exit status 3`, `signal: killed`. */
  error: string
}

export interface E2BCommands extends SandboxCommands {
  /**
   * As in `@vibe-kit/e2b`: resolves only for exit code 0, and rejects with {@link E2BCommandExitError} for any other. One that
   * ran longer than its `timeoutMs` rejects with an error of the name `TimeoutError` and the code `TIMEOUT`. Both carry
   * `exitCode`, `stdout` and `stderr`. With `background` it resolves as soon as the command runs.
   */
  run(command: string | readonly string[], options?: LocalCommandOptions): Promise<LocalExecutionResult>
}

/** A sandbox at E2B; what is not said here is as in the embedded one. */
export interface E2BSandbox extends LocalSandbox {
  readonly commands: E2BCommands
  /** Freezes it with its memory. Connections into it end; commands go on when it is resumed. */
  pause(): Promise<void>
  /** `<port>-<id>.<domain>`, reachable by `https`. */
  getHost(port: number): Promise<string>
  /** Lets go of the sandbox, which lives on until the end of its lifetime. */
  release(): Promise<void>
}

/** E2B as a provider. The environment given to `create()` is kept by the service with the sandbox. */
export class E2BSandboxProvider implements SandboxProvider {
  /** Throws if an option is wrong or there is no key. */
  constructor(options?: E2BOptions)
  /** Rejects with `AUTHENTICATION_FAILED`, `TEMPLATE_NOT_FOUND`, `CONCURRENCY_LIMIT`, `RATE_LIMITED` … */
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<E2BSandbox>
  /** Resumes it if it is paused, and extends its lifetime. Rejects with `SESSION_NOT_FOUND`, also for sandboxes of others. */
  resume(sandboxId: string): Promise<E2BSandbox>
  /** Whether the key is good and the service answers. Rejects otherwise. */
  probe(): Promise<Record<string, unknown>>
}

/** E2B as a provider, for `withSandbox()` or on its own; a drop-in for the function of this name in `@vibe-kit/e2b`. */
export function createE2BProvider(options?: E2BOptions): E2BSandboxProvider

/**
 * A sandbox of Daytona; its methods are those of the embedded sandbox. `getHost()` resolves with a whole URL, `pause()`
 * rejects with `UNSUPPORTED` (the sandbox stays active). Output comes line by line and without NUL, as the service has it.
 */
export interface DaytonaSandbox extends LocalSandbox {}

/** Sandboxes of Daytona. */
export class DaytonaSandboxProvider implements SandboxProvider {
  constructor(options?: Partial<DaytonaConfig>)
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<DaytonaSandbox>
  /** Starts the sandbox if it is stopped, archived or paused. Rejects with `SESSION_NOT_FOUND`. */
  resume(sandboxId: string): Promise<DaytonaSandbox>
  /** Shows that the service is there and takes the key; rejects otherwise. */
  probe(): Promise<Record<string, unknown>>
}

/**
 * Sandboxes of Daytona as a provider, in its cloud or hosted by oneself. Throws if an option is wrong or the key is missing;
 * opening rejects with what the service refuses (`AUTHENTICATION_FAILED`, `CONCURRENCY_LIMIT` …).
 */
export function createDaytonaProvider(options?: Partial<DaytonaConfig>): DaytonaSandboxProvider

/**
 * A sandbox of Northflank; its methods are those of the embedded sandbox. `getHost()` resolves with a host name and opens the
 * port, `pause()` ends all processes and keeps the volume, `kill()` removes both. Output comes as text, as the service has it.
 */
export interface NorthflankSandbox extends LocalSandbox {}

/** Sandboxes of Northflank. */
export class NorthflankSandboxProvider implements SandboxProvider {
  constructor(options?: Partial<NorthflankConfig>)
  create(envs?: Record<string, string>, agentType?: AgentType, workingDirectory?: string): Promise<NorthflankSandbox>
  /** Scales the service up if it is paused. Rejects with `SESSION_NOT_FOUND`. */
  resume(sandboxId: string): Promise<NorthflankSandbox>
  /** Shows that the service is there and takes key and project; rejects otherwise. */
  probe(): Promise<Record<string, unknown>>
}

/**
 * Sandboxes of Northflank as a provider: a deployment service with a volume each. Throws if an option is wrong or the key is
 * missing; opening rejects with what the service refuses (`AUTHENTICATION_FAILED`, `CONCURRENCY_LIMIT` …).
 */
export function createNorthflankProvider(options?: Partial<NorthflankConfig>): NorthflankSandboxProvider

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
