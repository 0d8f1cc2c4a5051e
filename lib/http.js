'use strict'

/**
 * Carries out the machine's HTTP, for native providers too. It always goes through `globalThis.fetch`, looked up for each
 * request: that is where users put their stubs, proxies and agents, and where upstream's requests went.
 */

const { messageOf } = require('./errors')
const { isObject } = require('./arguments')

/**
 * @typedef {import('./native').Failure} Failure
 * @typedef {{ method?: string, url: string, headers: Array<[string, string]>, body?: string }} Request `http.rs`, `HttpRequest`
 * @typedef {{ Ok: { status: number, statusText: string, body: string } } | { Err: Failure }} Answer
 */

class Requests {
  /**
   * @param {(ticket: number, answer: Answer) => void} answer
   * @param {(thrown: unknown) => Failure} failure makes the failure that stands for something thrown
   */
  constructor(answer, failure) {
    this.answer = answer
    this.failure = failure
    /** Those in flight. @type {Map<number, AbortController>} */
    this.flying = new Map()
  }

  /** @param {number} ticket @param {Request} request */
  async send(ticket, request) {
    const controller = new AbortController()
    this.flying.set(ticket, controller)
    /** @type {Answer} */
    let result
    try {
      result = { Ok: await exchange(request, controller.signal) }
    } catch (thrown) {
      result = { Err: this.describe(thrown) }
    }
    // Nobody waits for one that was given up.
    if (this.flying.delete(ticket)) this.answer(ticket, result)
  }

  /** Gives a request up. @param {number} ticket */
  giveUp(ticket) {
    const controller = this.flying.get(ticket)
    this.flying.delete(ticket)
    controller?.abort()
  }

  /** What was thrown, and what it says was the reason: `fetch failed` alone says nothing. @param {unknown} thrown */
  describe(thrown) {
    const failure = this.failure(thrown)
    failure.retryable = true
    if (isObject(thrown) && isObject(thrown.cause)) {
      failure.details = { ...failure.details, reason: messageOf(thrown.cause) }
    }
    return failure
  }
}

/**
 * @param {Request} request
 * @param {AbortSignal} signal
 */
async function exchange({ method, url, headers, body }, signal) {
  /** Exactly upstream's keys: tests compare what `fetch` was called with. @type {RequestInit} */
  const init = { ...(method !== undefined && { method }), headers: Object.fromEntries(headers) }
  if (body !== undefined) init.body = body
  // Present, but no part of what compares and prints.
  Object.defineProperty(init, 'signal', { value: signal, enumerable: false })
  const response = await globalThis.fetch(url, init)
  return { status: statusOf(response), statusText: String(response.statusText ?? ''), body: await bodyOf(response) }
}

/** A stand-in may have `ok` alone. @param {Response} response */
function statusOf(response) {
  if (Number.isInteger(response.status)) return response.status
  return response.ok ? 200 : 500
}

/** The body as text. A stand-in may have `json()` alone. @param {Response} response */
async function bodyOf(response) {
  const text = typeof response.text === 'function' ? await response.text() : ''
  if (typeof text === 'string' && text !== '') return text
  if (typeof response.json !== 'function' || response.body === null || response.bodyUsed) return ''
  return JSON.stringify(await response.json()) ?? ''
}

module.exports = { Requests }
