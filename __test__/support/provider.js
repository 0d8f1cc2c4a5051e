'use strict'

/**
 * A sandbox provider in JavaScript, as third parties write them. It keeps what it was asked for and answers by script.
 *
 * @param {object} [script]
 * @param {(command: string, options: object) => unknown} [script.run] answers commands; default: success without output
 * @param {(...args: unknown[]) => unknown} [script.create]
 * @param {(...args: unknown[]) => unknown} [script.resume]
 */
function recordingProvider({ run = () => ({ exitCode: 0, stdout: '', stderr: '' }), create, resume } = {}) {
  const calls = []
  const keep = (name, args) => calls.push([name, ...args.map(describe)])
  const instance = (sandboxId) => ({
    sandboxId,
    commands: {
      async run(...args) {
        keep('run', args)
        return run(...args)
      },
    },
    async kill(...args) {
      keep('kill', args)
    },
    async pause(...args) {
      keep('pause', args)
    },
    async getHost(...args) {
      keep('getHost', args)
      return `${args[0]}-${sandboxId}.example`
    },
  })
  return {
    calls,
    async create(...args) {
      keep('create', args)
      return create ? create(...args) : instance(`sbx-${calls.filter(([name]) => name === 'create').length}`)
    },
    async resume(...args) {
      keep('resume', args)
      return resume ? resume(...args) : instance(args[0])
    },
    instance,
  }
}

/** An argument in a form that compares: options as lists of pairs, because the order of their keys counts. */
function describe(value) {
  if (typeof value === 'function') return 'function'
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).map(([key, one]) => [key, describe(one)])
}

const NAMES = ['stdout', 'stderr', 'update', 'error']

/** Keeps the events of a kit, in order, as `[name, argument]`. */
function recordEvents(kit, names = NAMES) {
  const events = []
  for (const name of names) kit.on(name, (argument) => events.push([name, argument]))
  return events
}

module.exports = { recordingProvider, recordEvents }
