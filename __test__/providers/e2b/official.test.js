'use strict'

/** The double against the published clients. */

const { detour } = require('../../../testing/e2b-detour')
const { official, published } = require('./clients')
const { suite } = require('./suite')

/** The client inside the provider leaves a timer of a minute behind for each command that did not start; no test waits for those. */
function lettingGoOfTimers() {
  const { setTimeout } = globalThis
  globalThis.setTimeout = (...args) => {
    const timer = setTimeout(...args)
    return args[1] === 60_000 ? timer.unref() : timer
  }
  return () => {
    globalThis.setTimeout = setTimeout
  }
}

suite('e2b 2.51.0', official)
suite('@vibe-kit/e2b 0.0.2', published, (double) => {
  const back = [detour(double.url), lettingGoOfTimers()]
  return () => back.forEach((undo) => undo())
})
