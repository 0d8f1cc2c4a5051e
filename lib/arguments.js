'use strict'

/**
 * Turns what a caller passes into what the boundary takes: overloads become one shape, and a value of a wrong type fails
 * here, with its name and a remedy, before anything starts.
 */

const { revive, wrong, wrongType, wrongValue } = require('./errors')

/**
 * @typedef {{ onUpdate?: (message: string) => void, onError?: (error: string) => void }} Callbacks
 * @typedef {{ callbacks?: Callbacks, signal?: AbortSignal, timeoutMs?: unknown, port?: unknown }} Extras what stays in JavaScript
 * @typedef {{ request: Record<string, unknown>, extras: Extras }} Parsed
 */

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null

/** Null counts as absent in all options. @param {unknown} value @returns {value is null | undefined} */
const absent = (value) => value === undefined || value === null

/** @param {string} field @param {unknown} value @param {string} hint @returns {string} */
function text(field, value, hint) {
  if (typeof value !== 'string') throw revive(wrongType(field, 'a string', value, hint))
  return value
}

/** @param {string} field @param {unknown} value @param {string} hint @returns {string | undefined} */
const optionalText = (field, value, hint) => (absent(value) ? undefined : text(field, value, hint))

/** @param {string} field @param {unknown} value @returns {boolean} */
function flag(field, value) {
  if (absent(value)) return false
  if (typeof value !== 'boolean') throw revive(wrongType(field, 'true or false', value, 'Leave it out for false.'))
  return value
}

/**
 * A count: milliseconds, bytes.
 * @param {string} field @param {unknown} value @param {string} hint
 * @returns {number | undefined}
 */
function count(field, value, hint) {
  if (absent(value)) return undefined
  if (typeof value !== 'number') throw revive(wrongType(field, 'a number', value, hint))
  if (!Number.isSafeInteger(value) || value < 0) throw revive(wrongValue(field, 'a whole number, 0 or more', value, hint))
  return value
}

const TIMEOUT_HINT = 'Pass milliseconds, 0 for no limit.'
const BYTES_HINT = 'Pass the number of bytes to keep per stream.'

/** @param {string} field @param {unknown} value @returns {Array<[string, string]> | undefined} */
function environment(field, value) {
  if (absent(value)) return undefined
  const hint = 'Pass an object of strings, like { NODE_ENV: "test" }.'
  if (!isObject(value) || Array.isArray(value)) throw revive(wrongType(field, 'an object', value, hint))
  return Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([key, one]) => [key, text(`${field}.${key}`, one, hint)])
}

/** @param {unknown} value @returns {AbortSignal | undefined} */
function signalOf(value) {
  if (absent(value)) return undefined
  if (!isObject(value) || typeof value.aborted !== 'boolean' || typeof value.addEventListener !== 'function') {
    throw revive(wrongType('signal', 'an AbortSignal', value, 'Pass the `signal` of an AbortController.'))
  }
  return /** @type {AbortSignal} */ (value)
}

/** @param {unknown} value @returns {Callbacks | undefined} */
function callbacksOf(value) {
  if (absent(value)) return undefined
  const hint = 'Pass { onUpdate, onError }, both optional functions.'
  if (!isObject(value)) throw revive(wrongType('callbacks', 'an object', value, hint))
  for (const name of ['onUpdate', 'onError']) {
    if (!absent(value[name]) && typeof value[name] !== 'function') {
      throw revive(wrongType(`callbacks.${name}`, 'a function', value[name], hint))
    }
  }
  return value
}

/** @param {unknown} value @returns {'ask' | 'code' | undefined} */
function modeOf(value) {
  if (absent(value)) return undefined
  const hint = 'Pass "code" to let the agent change files, "ask" to let it only answer.'
  if (typeof value !== 'string') throw revive(wrongType('mode', 'a string', value, hint))
  if (value !== 'ask' && value !== 'code') throw revive(wrongValue('mode', '"ask" or "code"', value, hint))
  return value
}

/** @param {unknown} value @returns {Array<{ role: string, content: string }>} */
function historyOf(value) {
  if (absent(value)) return []
  const hint = 'Pass an array of { role: "user" | "assistant", content: string }.'
  if (!Array.isArray(value)) throw revive(wrongType('history', 'an array', value, hint))
  return value.map((entry, index) => {
    const field = `history[${index}]`
    if (!isObject(entry)) throw revive(wrongType(field, 'an object', entry, hint))
    return { role: text(`${field}.role`, entry.role, hint), content: text(`${field}.content`, entry.content, hint) }
  })
}

/** @param {string} call @param {unknown} options @returns {Record<string, any>} */
function optionsOf(call, options) {
  if (absent(options)) return {}
  if (!isObject(options)) throw revive(wrongType(`${call} options`, 'an object', options, 'Leave them out for the defaults.'))
  return options
}

/** @param {Record<string, any>} options @returns {Extras} */
function extrasOf(options) {
  return { callbacks: callbacksOf(options.callbacks), signal: signalOf(options.signal), timeoutMs: options.timeoutMs }
}

/**
 * `generateCode(prompt, mode?, history?, callbacks?)` or `generateCode({ prompt, … })`.
 * @param {unknown[]} parameters
 * @returns {Parsed}
 */
function generateCode([first, mode, history, callbacks]) {
  const hint = 'Pass generateCode("your prompt") or generateCode({ prompt: "your prompt" }).'
  if (typeof first !== 'string' && !isObject(first)) throw revive(wrongType('prompt', 'a string', first, hint))
  const options = typeof first === 'string' ? { prompt: first, mode, history, callbacks } : first
  const extras = extrasOf(options)
  return {
    extras,
    request: {
      call: 'generateCode',
      prompt: text('prompt', options.prompt, hint),
      mode: modeOf(options.mode),
      branch: optionalText('branch', options.branch, 'Pass the name of a branch.'),
      history: historyOf(options.history),
      background: flag('background', options.background),
      timeoutMs: count('timeoutMs', options.timeoutMs, TIMEOUT_HINT),
      maxOutputBytes: count('maxOutputBytes', options.maxOutputBytes, BYTES_HINT),
    },
  }
}

/** What a command is when nothing is said about it. @type {Extras} */
const NOTHING = Object.freeze({ callbacks: undefined, signal: undefined, timeoutMs: undefined })
const PLAIN = {
  call: 'executeCommand', command: '', timeoutMs: undefined, background: false, readOnly: false, branch: undefined, env: undefined, stdin: undefined,
  maxOutputBytes: undefined,
}

/**
 * `executeCommand(command, options?)`.
 * @param {unknown} command @param {unknown} given
 * @returns {Parsed}
 */
function executeCommand(command, given) {
  if (absent(given) && typeof command === 'string') return { extras: NOTHING, request: { ...PLAIN, command } }
  const options = optionsOf('executeCommand', given)
  const extras = extrasOf(options)
  return {
    extras,
    request: {
      call: 'executeCommand',
      command: text('command', command, 'Pass one line for the shell, like "npm test".'),
      timeoutMs: count('timeoutMs', options.timeoutMs, TIMEOUT_HINT),
      background: flag('background', options.background),
      readOnly: flag('readOnly', options.readOnly),
      branch: optionalText('branch', options.branch, 'Pass the name of a branch.'),
      env: environment('env', options.env),
      stdin: optionalText('stdin', options.stdin, 'Pass the text for standard input.'),
      maxOutputBytes: count('maxOutputBytes', options.maxOutputBytes, BYTES_HINT),
    },
  }
}

/** Variables of the host a model's key may be in. Read at each call: programs set them late. */
const KEY_VARIABLES = ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_API_KEY']

const keyVariables = () =>
  KEY_VARIABLES.flatMap((name) => (process.env[name] ? [[name, /** @type {string} */ (process.env[name])]] : []))

const LABEL_HINT = 'Pass { name, color, description }, or leave it out for the label of the agent.'

/** @param {unknown} value @returns {{ name: string, color: string, description: string } | undefined} */
function labelOf(value) {
  if (absent(value)) return undefined
  if (!isObject(value)) throw revive(wrongType('labelOptions', 'an object', value, LABEL_HINT))
  return {
    name: text('labelOptions.name', value.name, LABEL_HINT),
    color: optionalText('labelOptions.color', value.color, LABEL_HINT) ?? 'ededed',
    description: optionalText('labelOptions.description', value.description, LABEL_HINT) ?? '',
  }
}

/**
 * `createPullRequest(repository?, labelOptions?, branchPrefix?)`, or the same without the first. What a text in the first
 * place means depends on the object: a repository, or the directory of the project.
 * @param {unknown[]} parameters
 * @returns {Parsed}
 */
function createPullRequest([first, ...rest]) {
  const target = typeof first === 'string' ? first : undefined
  // `undefined` or `null` stands for a left out first argument of any of the three forms.
  const shifted = target === undefined && !(absent(first) && (isObject(rest[0]) || typeof rest[1] === 'string'))
  const [label, prefix, options] = shifted ? [first, ...rest] : rest
  return {
    extras: { signal: signalOf(optionsOf('createPullRequest', options).signal) },
    request: {
      call: 'createPullRequest',
      target,
      label: labelOf(label),
      branchPrefix: optionalText('branchPrefix', prefix, 'Pass what is to stand before the name of the branch.'),
      variables: keyVariables(),
    },
  }
}

/**
 * `pushToBranch(branch?)`.
 * @param {unknown} branch @param {unknown} [options]
 * @returns {Parsed}
 */
function pushToBranch(branch, options) {
  return {
    extras: { signal: signalOf(optionsOf('pushToBranch', options).signal) },
    request: {
      call: 'pushToBranch',
      branch: optionalText('branch', branch, 'Pass the name of a branch.'),
      variables: keyVariables(),
    },
  }
}

/**
 * `mergePullRequest(options)`. What is no number is refused by the machine, in upstream's words.
 * @param {unknown} options
 * @returns {Parsed}
 */
function mergePullRequest(options) {
  const hint = 'Pass { repository: "owner/repo", pullNumber: 1 }.'
  if (!isObject(options)) throw revive(wrongType('options', 'an object', options, hint))
  const { repository, pullNumber, commitTitle, commitMessage, mergeMethod } = options
  return {
    extras: { signal: signalOf(options.signal) },
    request: {
      call: 'mergePullRequest',
      repository: optionalText('repository', repository, hint),
      pullNumber: typeof pullNumber === 'number' ? pullNumber : null,
      commitTitle: optionalText('commitTitle', commitTitle, 'Pass a text.'),
      commitMessage: optionalText('commitMessage', commitMessage, 'Pass a text.'),
      mergeMethod: optionalText('mergeMethod', mergeMethod, 'Pass "merge", "squash" or "rebase".'),
    },
  }
}

/**
 * `cloneRepository(repository, directory?)`.
 * @param {unknown} repository @param {unknown} directory @param {unknown} options
 * @returns {Parsed}
 */
function cloneRepository(repository, directory, options) {
  return {
    extras: { signal: signalOf(optionsOf('cloneRepository', options).signal) },
    request: {
      call: 'cloneRepository',
      repository: text('repoId', repository, 'Pass the repository as "owner/repo".'),
      directory: optionalText('directoryPath', directory, 'Pass a path inside the sandbox.'),
    },
  }
}

/**
 * A copy of a value that JSON can carry unchanged. What JSON would silently turn into something else (`NaN`, a `BigInt`,
 * a circle) is an error; functions, symbols and `undefined` count as absent.
 * @param {unknown} value
 * @param {string} field
 * @param {object[]} [above] objects this one lies in
 * @returns {any}
 */
function plain(value, field, above = []) {
  switch (typeof value) {
    case 'string':
      // Half a surrogate pair has no form in UTF-8.
      return value.toWellFormed()
    case 'number':
      if (!Number.isFinite(value)) throw revive(wrongValue(field, 'a finite number', value, 'Leave it out for the default.'))
      return value
    case 'bigint':
      throw revive(wrongType(field, 'a number', value, 'Pass a plain number.'))
    case 'object': {
      if (value === null) return null
      if (above.includes(value)) throw revive(wrong('INVALID_ARGUMENT', field, 'contains itself', 'Pass plain data.'))
      const inside = [...above, value]
      if (Array.isArray(value)) return value.map((one, index) => plain(one, `${field}[${index}]`, inside) ?? null)
      /** @type {Record<string, unknown>} */
      const copy = {}
      for (const [key, one] of Object.entries(value)) {
        const kept = plain(one, field === '' ? key : `${field}.${key}`, inside)
        if (kept !== undefined) copy[key] = kept
      }
      return copy
    }
    case 'boolean':
      return value
    default:
      return undefined
  }
}

/**
 * JSON of a request. Half a surrogate pair, which no process could receive, becomes U+FFFD.
 * @param {unknown} request
 * @returns {string}
 */
function encode(request) {
  const json = JSON.stringify(request)
  // A lone half is the only thing JSON escapes this way, save for text that looks like it.
  return json.includes('\\ud') ? JSON.stringify(request, wellFormed) : json
}

/** @param {string} _key @param {unknown} value */
const wellFormed = (_key, value) => (typeof value === 'string' && !value.isWellFormed() ? value.toWellFormed() : value)

module.exports = {
  generateCode, executeCommand, createPullRequest, pushToBranch, mergePullRequest, cloneRepository, environment, text, optionalText, flag, count, signalOf, optionsOf, isObject, absent,
  plain, encode, TIMEOUT_HINT, BYTES_HINT,
}
