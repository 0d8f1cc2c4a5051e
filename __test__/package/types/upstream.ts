// Code as users of both generations of @vibe-kit/sdk wrote it, with the names of types both exported. Compiled by
// types.test.js, never run.

import {
  AGENT_TYPES,
  BaseAgent,
  ClaudeAgent,
  CodexAgent,
  GeminiAgent,
  OpenCodeAgent,
  PROVIDER_TYPES,
  SANDBOX_PROVIDERS,
  TelemetryService,
  VibeKit,
  createClaudeAgent,
  createCodexAgent,
  createGeminiAgent,
  createGrokAgent,
  createOpenCodeAgent,
  type AgentMode,
  type AgentModel,
  type AgentResponse,
  type AgentType,
  type BaseAgentConfig,
  type ClaudeConfig,
  type ClaudeResponse,
  type ClaudeStreamCallbacks,
  type CodexConfig,
  type CodexResponse,
  type CodexStreamCallbacks,
  type Conversation,
  type DaytonaConfig,
  type E2BConfig,
  type EnvironmentConfig,
  type ExecuteCommandOptions,
  type GeminiConfig,
  type GeminiResponse,
  type GeminiStreamCallbacks,
  type GithubConfig,
  type GrokConfig,
  type GrokResponse,
  type GrokStreamCallbacks,
  type LabelOptions,
  type MergePullRequestOptions,
  type MergePullRequestResult,
  type ModalConfig,
  type ModelProvider,
  type NorthflankConfig,
  type OpenCodeConfig,
  type OpenCodeResponse,
  type OpenCodeStreamCallbacks,
  type ProviderType,
  type PullRequestResponse,
  type PullRequestResult,
  type SandboxCommandOptions,
  type SandboxCommands,
  type SandboxConfig,
  type SandboxExecutionResult,
  type SandboxInstance,
  type SandboxProvider,
  type SecretsConfig,
  type StreamCallbacks,
  type TelemetryConfig,
  type TelemetryData,
  type VibeKitConfig,
  type VibeKitStreamCallbacks,
} from 'vibekit-native'

// ---- the configuration generation (0.0.7 to 0.0.47) ------------------------------------------------------------------

const model: AgentModel = { name: 'gpt-4o', provider: 'openai' as ModelProvider, apiKey: 'sk' }
const e2b: E2BConfig = { apiKey: 'e2b', templateId: 'vibekit-codex' }
const daytona: DaytonaConfig = { apiKey: 'dtn', image: 'ubuntu', serverUrl: 'https://app.daytona.io' }
const northflank: NorthflankConfig = { apiKey: 'nf', projectId: 'p', billingPlan: 'nf-compute-200', persistentVolumeStorage: 10240 }
const environment: EnvironmentConfig = { e2b, daytona, northflank }
const github: GithubConfig = { token: 'ghp', repository: 'owner/repo' }
const secrets: SecretsConfig = { DATABASE_URL: 'postgres://…' }
const telemetry: TelemetryConfig = {
  isEnabled: true, endpoint: 'http://localhost:4318/v1/traces', serviceName: 'app', serviceVersion: '1', headers: { a: 'b' }, timeout: 1000, samplingRatio: 0.5, resourceAttributes: { env: 'test' },
}
const config: VibeKitConfig = { agent: { type: 'codex', model }, environment, github, secrets, sessionId: 's', workingDirectory: '/vibe0', telemetry }

/** Required fields may be read without a question mark. */
export const read: string = config.agent.model.apiKey + (config.environment.e2b ? config.environment.e2b.apiKey : '')

export class Wrapper {
  private readonly vibeKit: VibeKit
  constructor(private readonly given: VibeKitConfig) {
    this.vibeKit = new VibeKit(given)
  }

  async run(prompt: string, mode: AgentMode): Promise<AgentResponse> {
    const callbacks: VibeKitStreamCallbacks = {
      onUpdate(message: string) {
        const { type } = JSON.parse(message) as { type: string }
        console.log(type, this)
      },
      onError: (error: string) => console.error(error),
    }
    const history: Conversation[] = [{ role: 'assistant', content: 'x' }]
    const response = await this.vibeKit.generateCode({ prompt, mode, branch: 'main', history, callbacks, background: false })
    const tests = await this.vibeKit.runTests({ branch: 'main', history, callbacks })
    const { exitCode, stdout } = await this.vibeKit.executeCommand('ls', { timeoutMs: 1, background: true, callbacks, useRepoContext: true })
    console.log(tests.exitCode, exitCode + 1, stdout.trim(), this.given.github?.repository)
    return response
  }

  async session(id: string | null): Promise<string | null> {
    if (id) await this.vibeKit.setSession(id)
    await this.vibeKit.pause()
    await this.vibeKit.resume()
    const host: string = await this.vibeKit.getHost(3000)
    console.log(`https://${host}`)
    await this.vibeKit.kill()
    return this.vibeKit.getSession()
  }
}

export const service = new TelemetryService(telemetry, 'session')
export async function measured(): Promise<void> {
  service.trackStart('codex', 'code', 'prompt', { model: 'm' })
  service.trackStream('codex', 'code', 'prompt', '{}', 'sandbox', 'owner/repo', {})
  service.trackEnd('codex', 'code', 'prompt', 'sandbox', 'owner/repo', { exitCode: 0 })
  service.trackError('codex', 'code', 'prompt', 'message', { source: 'app' })
  await service.shutdown()
}
export const data: TelemetryData = { sessionId: 's', agentType: 'codex', mode: 'code', prompt: 'p', timestamp: 0, eventType: 'start' }

const sandboxConfig: SandboxConfig = { type: 'e2b', apiKey: 'e2b', templateId: 't' }
const codexConfig: CodexConfig = { providerApiKey: 'sk', e2bApiKey: 'e2b', sandboxConfig, provider: 'openai', githubToken: 't', repoUrl: 'o/r', secrets, model: 'm', sandboxId: 's', telemetry }
export const agents: BaseAgent[] = [
  new CodexAgent(codexConfig), new ClaudeAgent({ providerApiKey: 'k', sandboxConfig }), new OpenCodeAgent({ providerApiKey: 'k', sandboxConfig }), new GeminiAgent({ providerApiKey: 'k', sandboxConfig }),
]

// ---- the fluent generation (0.0.48 to 0.0.69) -------------------------------------------------------------------------

export async function fluent(provider: SandboxProvider): Promise<string> {
  const vibekit = new VibeKit()
    .withAgent({ type: 'claude', provider: 'anthropic', apiKey: process.env.ANTHROPIC_API_KEY!, model: 'claude-sonnet-4-20250514' })
    .withSandbox(provider)
    .withGithub(github)
    .withWorkingDirectory('/vibe0')
    .withSecrets(secrets)
    .withSession('s')
    .withTelemetry({ enabled: true, sessionId: 's' })
  vibekit.on('update', (update) => console.log(update.length))
  vibekit.on('stdout', (data: string) => console.log(data))
  vibekit.on('stderr', (data: string) => console.error(data))
  vibekit.on('error', (error: string) => console.error(error))
  const options: ExecuteCommandOptions = { timeoutMs: 10, background: false, branch: 'b' }
  const result: SandboxExecutionResult = await vibekit.executeCommand('npm test', options)
  const response: AgentResponse = await vibekit.generateCode({ prompt: 'p', mode: 'code', branch: 'b', history: [] })
  const tests = await vibekit.runTests()
  const sandbox: SandboxInstance = await vibekit.agent.getSandbox()
  const commands: SandboxCommands = sandbox.commands
  const commandOptions: SandboxCommandOptions = { onStdout: (text) => console.log(text), timeoutMs: 5 }
  await commands.run('ls', commandOptions)
  console.log(vibekit.agent.getCurrentBranch(), vibekit.agent.lastPrompt, vibekit.listenerCount('update'))
  return `${result.stdout}${response.sandboxId}${tests.stdout}`
}

export async function classes(sandboxProvider: SandboxProvider): Promise<number> {
  const base: BaseAgentConfig = { sandboxProvider, secrets, sandboxId: 's', workingDirectory: '/w', worktrees: { enabled: true, root: '/r', cleanup: false } }
  const claude: ClaudeConfig = { ...base, providerApiKey: 'k', oauthToken: 'o', provider: 'anthropic' }
  const grok: GrokConfig = { ...base, providerApiKey: 'k', baseUrl: 'https://x' }
  const gemini: GeminiConfig = { ...base, providerApiKey: 'k' }
  const opencode: OpenCodeConfig = { ...base, providerApiKey: 'k' }
  const made = [
    new (await createClaudeAgent())(claude), new (await createCodexAgent())({ ...base, providerApiKey: 'k' }), new (await createGeminiAgent())(gemini), new (await createGrokAgent())(grok),
    new (await createOpenCodeAgent())(opencode),
  ]
  const callbacks: StreamCallbacks & CodexStreamCallbacks & ClaudeStreamCallbacks & GeminiStreamCallbacks & GrokStreamCallbacks & OpenCodeStreamCallbacks = { onUpdate: () => {} }
  const responses = await Promise.all(made.map((agent) => agent.generateCode('p', 'ask', 'b', [], callbacks, false)))
  return responses.length
}

export const responses: [CodexResponse, ClaudeResponse, GeminiResponse, GrokResponse, OpenCodeResponse]['length'] = 5
export const label: LabelOptions = { name: 'x', color: 'ffffff', description: 'd' }
export const merge: MergePullRequestOptions & { repository: string } = { repository: 'o/r', pullNumber: 1, mergeMethod: 'squash', commitTitle: 't', commitMessage: 'm' }
export const merged = ({ sha, merged: done, message }: MergePullRequestResult): string => `${sha}${done}${message}`
export const pull = (result: PullRequestResult): PullRequestResponse => ({ html_url: result.html_url, number: result.number, branchName: result.branchName, commitSha: result.commitSha })
export const repository = (result: PullRequestResult): string => result.head.repo.full_name
export const modal: ModalConfig = { image: 'i', encryptedPorts: [1], h2Ports: [2] }
export const kinds: [AgentType, ProviderType, SANDBOX_PROVIDERS] = [AGENT_TYPES.CLAUDE, PROVIDER_TYPES.E2B, SANDBOX_PROVIDERS.E2B]

/** A class of the user's own around the SDK's. */
export class Own extends VibeKit {
  private count = 0
  override async executeCommand(command: string, options?: ExecuteCommandOptions) {
    this.count += 1
    return super.executeCommand(command, options)
  }

  announce(): boolean {
    return this.emit('own', this.count)
  }
}
