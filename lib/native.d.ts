/**
 * What the native module exports. Internal: the shim in this folder is its only caller.
 *
 * The boundary in three rules:
 *  1. Native code makes no promise and no error object. Failures cross as JSON of {@link Failure}; `lib/errors.js` revives them,
 *     so that they are errors of the caller's realm.
 *  2. Every asynchronous operation has one ordered channel: `onFrames` gets a flat array `[kinds, payload, ends, kinds, …]`,
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

/**
 * Three elements to a frame. `kinds`: the {@link FrameKind}, and in the second byte, if the same goes to a second kind, that one plus
 * one. Then the payload. Then `undefined`, or where the messages end that the payload is made of; each goes to its first and its
 * second kind before the next one does. A last element by itself is to be given to {@link deliver}, from the next turn of the event loop.
 */
export type OnFrames = (frames: Array<number | string | Uint32Array | undefined>) => void

/** What was given with this number has been delivered; there may be more. */
export function deliver(channel: number): void

/** Version of the addon; must equal the package's. */
export function version(): string

// ---- the session machine -------------------------------------------------------------------------------------------

/**
 * Checks a setup without making anything.
 * `setup` is JSON of `{ generation: "config"|"fluent", driver: "native"|"javascript", config, env }`.
 * Gives `null` when session access is allowed, else JSON of a failure (rule "Agent not initialized").
 */
export function check(setup: string, access: 'session' | 'work'): string | null

/**
 * Makes the machine. With `driver: "native"` and no `provider` the environment of the setup decides; with `provider` that one is
 * used. Gives JSON of a failure instead when the setup cannot work.
 */
export function machine(setup: string, provider?: NativeProvider | null): Machine | string

/** The line a JavaScript provider would run for a prompt (JSON setup as for {@link machine}); null while the agent cannot be used. */
export function shellCommand(setup: string, prompt: string, ask: boolean): string | null
/** What an open sandbox tells, as JSON-like object of {@link providerOpen}: `{ sandboxId, processesLost }`. */
export function describeSandbox(sandbox: NativeSandbox): string
/** Native driver: the sandbox of the ticket a finished `getSandbox` call gave. */
export function machineSandbox(machine: Machine, ticket: number): NativeSandbox | null

/** Native driver: starts a call (JSON of `{ call: "executeCommand", … }`, protocol.rs `Call`). Gives the operation's id. */
export function start(machine: Machine, call: string, onFrames: OnFrames): number
/** Native driver: the caller no longer wants the result. */
export function cancel(machine: Machine, op: number): void
/** Native driver: what came of a REQUEST, JSON of `{ Ok: { status, statusText, body } }` or `{ Err: failure }`. */
export function answer(machine: Machine, ticket: number, result: string): void

// ---- the session machine, stepped by the shim (JavaScript providers) -------------------------------------------------

/**
 * Actions in one string. Its units are numbers and text, one after another: a number is little-endian with seven bits to a unit,
 * the eighth saying that more follow; text is the number of its units and then the units.
 *
 * The first number says whether timers are armed: 0 none, 1 the same as before or fewer, 2 a new one. Then come the actions, each a {@link PackedKind} and its fields.
 */
export type Packed = string

/** Fields of packed actions (protocol.rs, `Action`). `channel` is a {@link FrameKind}. */
export const enum PackedKind {
  /** text: JSON of any other action */
  JSON = 0,
  /** op, channel, text */
  EMIT = 1,
  /** op, ticket, sandbox, timeoutMs, background (0 or 1), {@link RunOptions}, number of channels, the channels, text of the command, text that is
   * to be told to its shell before (secrets; empty nearly always) */
  RUN = 2,
  /** op, whether there is an id (0 or 1), text of the id: the call's value is the provider's answer with this `sandboxId` */
  ANSWER = 3,
  /** op */
  FLUSH = 4,
}

/** Feeds one input (JSON, protocol.rs `Input`). */
export function feed(machine: Machine, input: string): Packed
/** What a provider's `run` is given (protocol.rs): upstream's keys. ALOUD is STREAMS whose chunks are passed on as they come. */
export const enum RunOptions {
  /** timeoutMs */
  LIMIT = 0,
  /** timeoutMs, background */
  BACKGROUND = 1,
  /** timeoutMs, background, onStdout */
  STDOUT = 2,
  /** timeoutMs, background, onStdout, onStderr */
  STREAMS = 3,
  ALOUD = 4,
}

/** Feeds `{ input: "call", op, call: "executeCommand", command, timeoutMs, background }`, as {@link feed} would. */
export function execute(machine: Machine, op: number, command: string, timeoutMs: number | undefined, background: boolean): Packed
/**
 * What {@link execute} comes to as long as the machine gets no other input but ends of runs: JSON of a `Plan` (plan.rs; `channels`
 * are {@link FrameKind}s), null when that cannot be told.
 */
export function plan(machine: Machine): string | null
/**
 * Feeds what has happened to a command that follows a plan: the call and, if `made`, the end of its `mkdir`. Gives the ticket of
 * the run that goes on.
 */
export function adopt(machine: Machine, op: number, command: string, timeoutMs: number | undefined, background: boolean, made: boolean): number | null
/** Feeds the end of a run that ended by itself; `json` is `JSON.stringify` of the answer where that is wanted. */
export function ran(machine: Machine, op: number, ticket: number, exitCode: number, json: string | undefined): Packed
/** Milliseconds until {@link expire} is to be called; null when no timer is armed. */
export function dueInMs(machine: Machine): number | null
/** Feeds the timers that are due. */
export function expire(machine: Machine): Packed

/** Finds messages in one stream of a run. */
export interface Scanner { readonly __scanner: unique symbol }
/** A scanner at the beginning of a stream. */
export function scanner(): Scanner
/**
 * Scans the next text of a stream: `length` units, without a NUL. Gives the number of messages it completed and writes to
 * `places`: how many units were taken (all, unless there was no room for more messages), where the text was cut last, and for
 * every message where it begins and ends. All places but the first count from the cut before this call.
 */
export function scan(scanner: Scanner, text: string, length: number, places: Int32Array): number

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
 * `{ call: "run", command?: string, program?: string, args?: string[], env?: [[k,v]…], cwd?, stdin?: string|"pipe"-flag pipeStdin?: boolean, timeoutMs?, background?, readOnly?, maxOutputBytes?, stream: boolean }` → DONE `{ exitCode, stdout, stderr, signal?, timedOut?, stopped?, stdoutDropped?, stderrDropped?, outOfMemory?, outputGap? }`
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
// ---- telemetry -----------------------------------------------------------------------------------------------------

export interface NativeTelemetry { readonly __telemetry: unique symbol }
/**
 * Makes an instance. `options`: JSON of `Options` in vibekit-telemetry; `env`: JSON of the host's environment variables. Gives
 * JSON of a failure when they are wrong. Talks to nobody.
 */
export function telemetry(options: string, env: string): NativeTelemetry | string
/** Takes a record (JSON of `Record` in vibekit-telemetry). Never waits, never fails. */
export function telemetryRecord(telemetry: NativeTelemetry, record: string): void
/** Sends what was recorded: DONE null, FAIL when spans were lost. */
export function telemetryFlush(telemetry: NativeTelemetry, onFrames: OnFrames): number
/** The same, and the caller waits; for a process that ends. */
export function telemetryFlushNow(telemetry: NativeTelemetry, limitMs: number): void

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
