'use strict'

/**
 * A scripted model server on loopback that speaks the wire protocols the coding agents speak: Anthropic Messages,
 * OpenAI Responses, OpenAI Chat Completions and Gemini. It answers real agents with scripted turns, tool calls in
 * each agent's own tools included, and keeps every request for inspection.
 *
 * @example
 * const server = await startModelServer({ script: [write('hello.txt', 'hi\n'), say('Done.')] })
 * // … point an agent's base URL at server.url …
 * server.turns[0].prompt // what the model was asked
 * await server.close()
 */

const http = require('node:http')

const anthropic = require('./model-server/anthropic')
const chat = require('./model-server/chat')
const gemini = require('./model-server/gemini')
const responses = require('./model-server/responses')

/**
 * One answer of the model. Text comes before tool calls.
 * @typedef {object} Reply
 * @property {string} [thought] reasoning, told first by the protocols that have a place for it
 * @property {string} [text] a piece of the answer
 * @property {{ path: string, content: string }} [write] create or replace a file with the agent's own tool
 * @property {string} [run] run a shell command with the agent's own tool
 * @property {{ name: string, input: object }} [call] call this very tool
 *
 * @typedef {object} Failure
 * @property {number} status answer with this HTTP status
 * @property {string} [message]
 * @property {Record<string, string>} [headers]
 *
 * @typedef {object} Trouble
 * @property {'hang' | 'cut' | 'garbage'} trouble say nothing for ever; end the connection within the answer; send what is no protocol
 *
 * @typedef {Reply | Failure | Trouble} Step
 * @typedef {(turn: Turn) => Step} Script
 */

/**
 * One part of a conversation as the agent sent it.
 * @typedef {object} Part
 * @property {string} role `system`, `user`, `assistant` or `tool`
 * @property {string} text
 */

/**
 * A request as a protocol understands it.
 * @typedef {object} Turn
 * @property {string} protocol `anthropic`, `responses`, `chat` or `gemini`
 * @property {string} model
 * @property {boolean} stream
 * @property {string[]} tools names of the tools on offer
 * @property {Part[]} parts
 * @property {string} prompt the last text of the user's
 * @property {string} credential key or token the request carried, `''` without one
 * @property {any} body
 * @property {number} index how many steps were played before this one
 */

/**
 * @typedef {object} Protocol
 * @property {string} name
 * @property {(path: string) => boolean} accepts
 * @property {(body: any, path: string) => Omit<Turn, 'protocol' | 'index' | 'credential' | 'prompt' | 'body'>} read
 * @property {(turn: Turn, reply: Reply, id: string) => Iterable<string>} stream server-sent events
 * @property {(turn: Turn, reply: Reply, id: string) => object} whole
 * @property {(failure: Failure) => object} failure
 */

/** @type {Protocol[]} */
const protocols = [anthropic, responses, chat, gemini]

/** @param {string} text @returns {Reply} */
const say = (text) => ({ text })
/** @param {string} path @param {string} content @returns {Reply} */
const write = (path, content) => ({ write: { path, content } })
/** @param {string} command @returns {Reply} */
const run = (command) => ({ run: command })
/** @param {number} status @param {string} [message] @param {Record<string, string>} [headers] @returns {Failure} */
const fail = (status, message, headers) => ({ status, message, headers })
/** @returns {Trouble} */
const hang = () => ({ trouble: 'hang' })
/** @returns {Trouble} */
const cut = () => ({ trouble: 'cut' })
/** @returns {Trouble} */
const garbage = () => ({ trouble: 'garbage' })

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {http.IncomingHttpHeaders} headers
 * @property {any} body parsed when it was JSON
 */

/**
 * Starts a server on a free port of 127.0.0.1.
 *
 * Steps are played in order, one per request that offers an agent's tools; the last one repeats. Other
 * requests (titles, recaps, token counts) get a fixed answer and play no step.
 * @param {object} [options]
 * @param {Step[] | Script} [options.script] default: say `Done.`
 * @param {string[]} [options.models] ids `GET /models` lists
 * @param {string} [options.key] the only key that is not answered with 401; any when absent
 */
async function startModelServer(options = {}) {
  const { script = [say('Done.')], models = ['scripted-model'], key } = options
  /** @type {Request[]} */
  const requests = []
  /** @type {Turn[]} */
  const turns = []

  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  // A protocol over WebSocket is refused in the way that makes clients fall back to HTTP at once.
  server.on('upgrade', (request, socket) => {
    requests.push({ method: 'UPGRADE', path: request.url ?? '', headers: request.headers, body: undefined })
    socket.on('error', () => {})
    socket.end('HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  })

  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  async function answer(request, response) {
    const body = parse(await text(request))
    const path = (request.url ?? '').split('?')[0]
    requests.push({ method: request.method ?? '', path, headers: request.headers, body })

    const protocol = protocols.find((candidate) => candidate.accepts(path))
    if (request.method !== 'POST' || !protocol) return aside(path, models, response)

    const read = protocol.read(body ?? {}, path)
    const users = read.parts.filter((part) => part.role === 'user')
    const turn = {
      ...read,
      protocol: protocol.name,
      prompt: users.length ? users[users.length - 1].text : '',
      credential: credential(request),
      body,
      index: turns.length,
    }
    const failure = key !== undefined && turn.credential !== key ? fail(401, 'invalid api key') : undefined
    if (failure) return json(response, 401, protocol.failure(failure))
    if (isAside(turn)) return deliver(protocol, turn, say('A title'), `side${requests.length}`, response)

    turns.push(turn)
    const step = typeof script === 'function' ? script(turn) : script[Math.min(turn.index, script.length - 1)]
    if ('status' in step) return json(response, step.status, protocol.failure(step), step.headers)
    if ('trouble' in step) return trouble(protocol, turn, step.trouble, response)
    return deliver(protocol, turn, step, `r${turns.length}`, response)
  }

  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(undefined))
  })
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())

  return {
    /** Origin, without a path. */
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    /** Every request, in order of arrival. */
    requests,
    /** The requests that played a step. */
    turns,
    /** Ends open answers too. Idempotent. */
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve(undefined))
        server.closeAllConnections()
      })
    },
  }
}

/**
 * Agents have several tools; a request for a title offers none, or a single one to answer with. Grok's recap of a
 * turn offers all.
 * @param {Turn} turn
 */
function isAside(turn) {
  return turn.tools.length < 2 || turn.prompt.startsWith('<system-reminder>Write an ultra-short dashboard line')
}

/** @param {http.IncomingMessage} request @returns {Promise<string>} */
async function text(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** @param {string} body */
function parse(body) {
  if (body === '') return undefined
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

/** @param {http.IncomingMessage} request */
function credential(request) {
  const { authorization, 'x-api-key': apiKey, 'x-goog-api-key': googKey } = request.headers
  const fromUrl = new URL(request.url ?? '/', 'http://localhost').searchParams.get('key')
  return String(apiKey ?? googKey ?? authorization?.replace(/^Bearer\s+/i, '') ?? fromUrl ?? '')
}

/** @param {string} path @param {string[]} models @param {http.ServerResponse} response */
function aside(path, models, response) {
  if (path.endsWith('/models')) {
    const data = models.map((id) => ({ id, object: 'model', created: 1, owned_by: 'script' }))
    return json(response, 200, { object: 'list', data })
  }
  if (path.endsWith('/count_tokens')) return json(response, 200, { input_tokens: 11 })
  if (path.endsWith(':countTokens')) return json(response, 200, { totalTokens: 11 })
  if (path.endsWith('/api-key')) return json(response, 200, { name: 'script', acls: ['api-key:endpoint:*'] })
  return json(response, 404, { error: { message: `no such endpoint: ${path}` } })
}

/** @param {http.ServerResponse} response @param {number} status @param {object} value @param {Record<string, string>} [headers] */
function json(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

/** @param {Protocol} protocol @param {Turn} turn @param {Reply} reply @param {string} id @param {http.ServerResponse} response */
function deliver(protocol, turn, reply, id, response) {
  if (!turn.stream) return json(response, 200, protocol.whole(turn, reply, id))
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  for (const event of protocol.stream(turn, reply, id)) response.write(event)
  response.end()
}

/** @param {Protocol} protocol @param {Turn} turn @param {Trouble['trouble']} kind @param {http.ServerResponse} response */
function trouble(protocol, turn, kind, response) {
  if (kind === 'hang') return
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (kind === 'garbage') return void response.end('data: {"this is": no protocol\n\n')
  const events = [...protocol.stream(turn, say('This answer is cut'), 'cut')]
  response.write(events.slice(0, Math.max(1, Math.floor(events.length / 2))).join(''), () => response.destroy())
}

module.exports = { startModelServer, say, write, run, fail, hang, cut, garbage }
