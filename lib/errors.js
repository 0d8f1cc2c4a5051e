'use strict'

/**
 * Failures become errors here and nowhere else. Native code sends data; the errors are made by this file so that they
 * belong to the caller's realm (under Jest that is not the realm native code lives in) and carry the caller's stack.
 * They are plain `Error`s (`TypeError`s for arguments of a wrong type) whose further properties are not enumerable, so
 * that they compare and print like the errors a user would write.
 */

/** @typedef {import('./native').Failure} Failure */

/** @param {object} target @param {string} key @param {unknown} value */
function set(target, key, value) {
  if (value === undefined) return
  Object.defineProperty(target, key, { value, configurable: true, writable: true, enumerable: false })
}

/**
 * Makes the error of a failure.
 * @param {Failure} failure
 * @param {(failure: Failure) => { value: unknown } | undefined} [original] gives back what user code threw, if this failure stands for it
 * @returns {Error}
 */
function revive(failure, original) {
  const thrown = original?.(failure)
  // What user code rejected with comes out as it is, even if it is no error.
  if (thrown) return /** @type {Error} */ (thrown.value)
  const Class = failure.code === 'INVALID_TYPE' ? TypeError : Error
  const error = new Class(failure.message)
  for (const [key, value] of Object.entries(failure.details ?? {})) set(error, key, value)
  set(error, 'code', failure.code)
  set(error, 'field', failure.field)
  set(error, 'hint', failure.hint)
  set(error, 'retryable', failure.retryable)
  set(error, 'admitted', failure.admitted)
  if (failure.cause) set(error, 'cause', revive(failure.cause, original))
  return error
}

/**
 * The failure of an argument.
 * @param {'INVALID_TYPE' | 'INVALID_ARGUMENT'} code
 * @param {string} field in the user's spelling
 * @param {string} problem what is wrong with it, as the rest of a sentence
 * @param {string} hint what to do
 * @returns {Failure}
 */
function wrong(code, field, problem, hint) {
  return { code, message: `${field} ${problem}. ${hint}`, field, hint, retryable: false }
}

/** @param {string} field @param {string} wanted @param {unknown} got @param {string} hint */
const wrongType = (field, wanted, got, hint) => wrong('INVALID_TYPE', field, `must be ${wanted}, got ${show(got)}`, hint)

/** @param {string} field @param {string} wanted @param {unknown} got @param {string} hint */
const wrongValue = (field, wanted, got, hint) => wrong('INVALID_ARGUMENT', field, `must be ${wanted}, got ${show(got)}`, hint)

/**
 * A value in a few words, for messages. Strings are cut: they may be long.
 * @param {unknown} value
 * @returns {string}
 */
function show(value) {
  if (typeof value === 'string') return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}…` : JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

/** The sentence of anything that was thrown. @param {unknown} thrown @returns {string} */
function messageOf(thrown) {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown && typeof thrown.message === 'string') return thrown.message
  try {
    return String(thrown)
  } catch {
    return 'an object without a description'
  }
}

module.exports = { revive, set, wrong, wrongType, wrongValue, show, messageOf }
