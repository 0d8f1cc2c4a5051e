import type { SandboxProvider } from './index.js'

/** What a provider has; what it has not is `false`. Declared, never discovered by failure. */
export interface ProviderCapabilities {
  /** Standard output and standard error arrive apart. Default: true. */
  separateStreams?: boolean
  /** `onStdout` is called while the command runs, not at its end. Default: true. */
  liveOutput?: boolean
  /** `background: true` returns at once, and the command runs on. Default: true. */
  background?: boolean
  /** `timeoutMs` ends a command with all its descendants. Default: true. */
  timeout?: boolean
  /** `resume()` finds a sandbox by its id. Default: true. */
  resume?: boolean
  /** `getHost()` names a port. Default: true. */
  host?: boolean
}

export interface CheckOptions {
  /** Default: it has everything. */
  capabilities?: ProviderCapabilities
  /** Makes a second provider over the same world, as another process would. Default: the provider itself. */
  another?: () => SandboxProvider
  /** One line for each thing the provider made that is still there. After each check the list has to become empty. */
  leftovers?: () => readonly string[] | Promise<readonly string[]>
  /** Milliseconds anything may take that is expected to happen. Default: 30 000. */
  patienceMs?: number
}

/** How one check ended. */
export interface CheckResult {
  /** Stable name, as in `docs/conformance.md` where native providers have the same check. */
  check: string
  /** What the provider has to do. */
  what: string
  outcome: 'passed' | 'unsupported' | 'failed'
  /** What was seen, or the capability that was declared missing. */
  why?: string
  /** Milliseconds. */
  ms: number
}

export interface CheckReport {
  results: CheckResult[]
  /** The results whose outcome is `failed`. */
  failures: CheckResult[]
}

/**
 * Tries a sandbox provider on everything `withSandbox()` relies on. Each check opens sandboxes of its own, kills them, and
 * asks what is left behind. Never rejects for what a provider does; that is in the report. A sandbox needs a POSIX `sh`.
 */
export function checkProvider(provider: SandboxProvider, options?: CheckOptions): Promise<CheckReport>
