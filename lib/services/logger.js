'use strict'

const { absent, isObject } = require('../arguments')
const { revive, wrongType } = require('../errors')

/** @typedef {import('../../services').Logger} Logger */
/** @typedef {'debug' | 'info' | 'warn' | 'error'} Level */

/** @type {Level[]} */
const LEVELS = ['debug', 'info', 'warn', 'error']

/** Upstream prints to the console here; a library keeps quiet unless it is told where to write. @type {Logger} */
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * The options of a constructor.
 * @template {object} T
 * @param {string} owner name of the class
 * @param {T} options
 * @returns {T & { logger: Logger }} with a logger that has every method
 */
function withLogger(owner, options) {
  if (!isObject(options) || Array.isArray(options)) {
    throw revive(wrongType(`options of ${owner}`, 'an object', options, 'Leave them out for the defaults.'))
  }
  const { logger } = /** @type {{ logger?: Partial<Logger> }} */ (options)
  if (absent(logger)) return { ...options, logger: SILENT }
  if (!isObject(logger)) throw revive(wrongType('logger', 'an object with the methods debug, info, warn and error', logger, 'Leave it out for silence.'))
  if (LEVELS.every((level) => typeof logger[level] === 'function')) return { ...options, logger: /** @type {Logger} */ (logger) }
  return { ...options, logger: { ...SILENT, ...pick(logger) } }
}

/** Those of its methods that there are. @param {Partial<Logger>} logger @returns {Partial<Logger>} */
const pick = (logger) =>
  Object.fromEntries(
    LEVELS.flatMap((level) => {
      const method = logger[level]
      return typeof method === 'function' ? [[level, method.bind(logger)]] : []
    }),
  )

module.exports = { withLogger }
