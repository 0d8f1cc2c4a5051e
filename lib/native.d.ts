/**
 * What the native module exports. Internal: the shim in this folder is its only caller.
 *
 * The boundary in three rules:
 *  1. Native code makes no promise and no error object. Failures cross as JSON of {@link Failure}; `lib/errors.js` revives them,
 *     so that they are errors of the caller's realm.
 *  2. Every asynchronous operation has one ordered channel: `onFrames` gets a flat array `[kind, payload, kind, payload, …]`,
 *     events first, then exactly one `DONE` or `FAIL`, then nothing more. While an operation runs the event loop stays alive.
 *  3. No function throws for anything a user can cause.
 */

/** Opaque handle of a session machine (one per VibeKit object). */
export interface Machine { readonly __machine: unique symbol }
/** Opaque handle of a native provider. */
export interface NativeProvider { readonly __provider: unique symbol }
/** Opaque handle of an open sandbox. */
export interface NativeSandbox { readonly __sandbox: unique symbol }

/** Kinds of frames. Payloads: JSON for DONE, FAIL and EVENT; text for the others. SESSION says that
 * the session id may have changed and carries the current one as of delivery; `""` is "no session".
 * RESULT_STDOUT and RESULT_STDERR carry `stdout` and `stderr` of the DONE that follows, where they are large. OBJECT is JSON of the
 * one `stdout` event that is an object. REQUEST is JSON `{ ticket, request }` (http.rs `HttpRequest`), to be answered with {@link answer}. */
export const enum FrameKind {
  DONE = 0,
  FAIL = 1,
  STDOUT = 2,
  STDERR = 3,
  UPDATE = 4,
  ERROR = 5,
  EVENT = 6,
  SESSION = 7,
  RESULT_STDOUT = 8,
  RESULT_STDERR = 9,
  OBJECT = 10,
  REQUEST = 11,
}

export type OnFrames = (frames: Array<number | string>) => void

/** Version of the addon; must equal the package's. */
export function version(): string

// ---- the session machine -------------------------------------------------------------------------------------------

/**
 * Checks a setup without making anything.
 * `setup` is JSON of `{ generation: "config"|"fluent", driver: "native"|"javascript", config, env, random? }`.
 * Gives `null` when session access is allowed, else JSON of a failure (rule "Agent not initialized").
 */
export function check(setup: string, access: 'session' | 'work'): string | null

/**
 * Makes the machine. With `driver: "native"` and no `provider` the environment of the setup decides; with `provider` that one is
 * used. Gives JSON of a failure instead when the setup cannot work.
 */
export function machine(setup: string, provider?: NativeProvider | null): Machine | string

/** Native driver: starts a call (JSON of `{ call: "executeCommand", … }`, protocol.rs `Call`). Gives the operation's id. */
export function start(machine: Machine, call: string, onFrames: OnFrames): number
/** Native driver: the caller no longer wants the result. */
export function cancel(machine: Machine, op: number): void

/** Native driver: what came of a REQUEST, JSON of `{ Ok: { status, statusText, body } }` or `{ Err: failure }`. */
export function answer(machine: Machine, ticket: number, result: string): void

/** JavaScript driver: feeds one input (JSON, protocol.rs `Input`), gives the actions it caused (JSON array of `Action`). */
export function feed(machine: Machine, now: number, input: string): string
/**
 * JavaScript driver: one chunk of a run's output. Gives deliveries as a flat array `[kind, text, …]` (kinds as frames), or null
 * when there is none. `stream`: 0 stdout, 1 stderr.
 */
export function output(machine: Machine, now: number, ticket: number, stream: number, chunk: string): Array<number | string> | null
/** Fresh id for `Input::Call` of the JavaScript driver; unique in the process. */
export function nextOp(): number

// ---- providers on their own ----------------------------------------------------------------------------------------

/**
 * Makes a provider. `name`: as in `environment.<name>`; `options`: JSON of the user's options; `env`: JSON of the host's environment
 * variables. Talks to nobody. Gives JSON of a failure when there is none of that name or the options are wrong.
 */
export function provider(name: string, options: string, env: string): NativeProvider | string
/** Finds out by trying what can be had: DONE with an object of the provider's own shape (`LocalSupport` of index.d.ts), else FAIL. */
export function providerProbe(provider: NativeProvider, onFrames: OnFrames): number
/**
 * Creates or resumes. `request`: JSON `{ resume?: id, env: [[k, v]…], agent, workingDirectory }`.
 * DONE carries `{ sandboxId, processesLost, paused }`; the handle is then fetched once with {@link takeSandbox}.
 */
export function providerOpen(provider: NativeProvider, request: string, onFrames: OnFrames): number
/** The sandbox of a finished {@link providerOpen}. */
export function takeSandbox(op: number): NativeSandbox | null
/**
 * Starts an operation on a sandbox. `request`: JSON, one of
 * `{ call: "run", command?: string, program?: string, args?: string[], env?: [[k,v]…], cwd?, stdin?: string|"pipe"-flag pipeStdin?: boolean, timeoutMs?, background?, maxOutputBytes?, stream: boolean }` → DONE `{ exitCode, stdout, stderr, signal?, timedOut?, stopped?, stdoutDropped?, stderrDropped?, outOfMemory?, outputGap? }`
 * `{ call: "kill" | "pause" | "thaw" | "release" }` → DONE null
 * `{ call: "host", port }` → DONE string
 * `{ call: "list" | "remove", path }` → DONE `[{ name, kind, size }]` / null
 */
export function sandboxStart(sandbox: NativeSandbox, request: string, onFrames: OnFrames): number
/** Reads a file: DONE null, content is fetched with {@link takeBytes}. */
export function sandboxRead(sandbox: NativeSandbox, path: string, onFrames: OnFrames): number
/** Content of a finished {@link sandboxRead}. */
export function takeBytes(op: number): Buffer | null
/** Writes a file: DONE null. */
export function sandboxWrite(sandbox: NativeSandbox, path: string, content: Uint8Array, onFrames: OnFrames): number
/** Stops a run; its outcome still comes as a frame. */
export function sandboxCancel(op: number): void
/** Standard input of a run with `pipeStdin`; `null` closes it. False when the run has none or is over. */
export function sandboxInput(op: number, data: Uint8Array | null): boolean
/** JSON of a failure (error.rs `Error`). */
export interface Failure {
  code: string
  message: string
  field?: string
  hint?: string
  retryable: boolean
  admitted?: 'yes' | 'no' | 'unknown'
  details?: Record<string, unknown>
  cause?: Failure
}
