// Code of users of both generations, as they wrote it. Compiled by types.test.js, never run.

import {
  AGENT_LIST,
  PROVIDER_TYPES,
  SANDBOX_PROVIDERS,
  VibeKit,
  createDockerProvider,
  createLocalProvider,
  type AgentEvent,
  type AgentResponse,
  type AgentType,
  type Conversation,
  type LocalSandbox,
  type SandboxProvider,
  type SecretsConfig,
  type VibeKitConfig,
  type VibeKitError,
  type VibeKitOptions,
  type VibeKitStreamCallbacks,
} from 'vibekit-native'

import { checkProvider, type CheckReport } from 'vibekit-native/testing'

// The suite for providers of one's own.
export async function checked(provider: SandboxProvider): Promise<string[]> {
  const report: CheckReport = await checkProvider(provider, { capabilities: { resume: false }, leftovers: async () => [] })
  return report.failures.map(({ check, why }) => `${check}: ${why ?? ''}`)
}

// The configuration generation.
const config: VibeKitConfig = {
  agent: { type: 'codex', model: { apiKey: 'sk', name: 'gpt-5', provider: 'openai' }, mode: 'code' },
  environment: { e2b: { apiKey: 'e2b', templateId: 't' } },
  github: { token: 'ghp', repository: 'owner/repo' },
  secrets: { KEY: 'value' },
  sessionId: 'id',
  workingDirectory: '/w',
}

export async function configured(): Promise<string> {
  const vibeKit = new VibeKit(config)
  const sessionId: string | null = await vibeKit.getSession()
  await vibeKit.setSession(sessionId ?? 'other')
  const callbacks: VibeKitStreamCallbacks = { onUpdate: (message) => message.trim(), onError: (error: string) => error.trim() }
  const history: Conversation[] = [{ role: 'user', content: 'hi' }]
  const response: AgentResponse = await vibeKit.generateCode({ prompt: 'p', mode: 'ask', branch: 'b', history, callbacks })
  await vibeKit.generateCode('p')
  await vibeKit.generateCode('p', 'code', history, callbacks)
  await vibeKit.runTests()
  await vibeKit.runTests({ branch: 'b' })
  await vibeKit.kill()
  return response.stdout
}

export async function contained(): Promise<number> {
  const sandbox = await createDockerProvider({ image: 'node:22', ports: [3000], limits: { memory: 2 ** 30 } }).create()
  const { exitCode } = await sandbox.commands.run(['node', '--version'], { signal: AbortSignal.timeout(1000) })
  await sandbox.kill()
  return exitCode
}

// The fluent generation.
export async function fluent(provider: SandboxProvider, secrets: SecretsConfig): Promise<void> {
  const vibeKit = new VibeKit()
    .withAgent({ type: 'claude', provider: 'anthropic', apiKey: 'k', model: 'm' })
    .withSandbox(provider)
    .withWorkingDirectory('/w')
    .withSecrets(secrets)
    .withSession('s')
  vibeKit
    .on('stdout', (chunk) => chunk.trim())
    .on('update', (message: string) => message.trim())
    .once('error', (error) => error.trim())
    .on('event', (event: AgentEvent) => {
      if (event.type === 'tool_call') return event.name
      if (event.type === 'finished') return event.usage.inputTokens
      return event.seq
    })
    .on('own', (...args: unknown[]) => args.length)
  const controller = new AbortController()
  const { exitCode } = await vibeKit.executeCommand('npm test', { timeoutMs: 1000, background: false, readOnly: true, signal: controller.signal, env: { A: 'b' } })
  const host: string = await vibeKit.getHost(3000)
  const agent: string | null | undefined = await vibeKit.agent?.getSession()
  await vibeKit.pause()
  await vibeKit.resume()
  await vibeKit.dispose()
  console.log(exitCode, host, agent)
}

// A subclass.
export class Own extends VibeKit {
  constructor() {
    super({ agent: { type: 'grok' }, environment: { local: { network: { allow: ['a.example'] }, limits: { memory: 1 << 30 }, ephemeral: true } } })
  }
}

// A provider of the user's own.
export const own: SandboxProvider = {
  async create(envs, agentType, workingDirectory) {
    console.log(envs?.KEY, agentType, workingDirectory)
    return this.resume('id')
  },
  async resume(sandboxId: string) {
    return {
      sandboxId,
      commands: {
        async run(command, options) {
          options?.onStdout?.(command)
          return { exitCode: 0, stdout: '', stderr: '' }
        },
      },
      async kill() {},
      async pause() {},
      async getHost(port) {
        return `${port}`
      },
    }
  },
}

// The embedded sandbox on its own.
export async function local(): Promise<number> {
  const provider = createLocalProvider({ network: 'deny', workspace: { path: '/srv', mode: 'overlay' } })
  const sandbox: LocalSandbox = await provider.create({}, 'claude', '/vibe0')
  const { stdout, timedOut } = await sandbox.commands.run(['node', '--version'], { stdin: new Uint8Array(1), cwd: '/', onStdout: (text) => text.trim() })
  const text: string = await sandbox.files.read('a', 'utf8')
  const bytes: Buffer = await sandbox.files.read('a')
  await sandbox.files.write('a', bytes)
  const [entry] = await sandbox.files.list()
  await sandbox.files.remove('a')
  await sandbox.release()
  return stdout.length + text.length + (entry?.size ?? 0) + (timedOut ? 1 : 0) + (sandbox.processesLost ? 1 : 0)
}

export const asProvider: SandboxProvider = createLocalProvider()
export const inConfig: VibeKitOptions = { agent: { type: 'claude' }, sandbox: createLocalProvider() }

export function told(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? (error as VibeKitError).hint : undefined
}

export const types: AgentType[] = AGENT_LIST
export const e2b: 'e2b' = PROVIDER_TYPES.E2B
export const display: SANDBOX_PROVIDERS = SANDBOX_PROVIDERS.MODAL

// What must not compile.
// @ts-expect-error no such agent
new VibeKit({ agent: { type: 'cursor' }, environment: { local: {} } })
// @ts-expect-error a prompt is a string
void new VibeKit().generateCode(5)
// @ts-expect-error no such mode
void new VibeKit().generateCode('p', 'write')
// @ts-expect-error a chunk is a string
new VibeKit().on('stdout', (chunk: number) => chunk)
// @ts-expect-error no such network
createLocalProvider({ network: 'some' })
// @ts-expect-error a session may be null
export const session: Promise<string> = new VibeKit().getSession()
