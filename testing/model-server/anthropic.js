'use strict'

/** Anthropic's Messages API: https://docs.anthropic.com/en/api/messages */

const { named, pieces, usage } = require('./sse')
const { call } = require('./tools')

const tokens = { input_tokens: usage.input - usage.cached, cache_read_input_tokens: usage.cached, output_tokens: usage.output }

/** @param {any} content @param {string} role @returns {import('../model-server').Part[]} */
function parts(content, role) {
  if (typeof content === 'string') return [{ role, text: content }]
  return (content ?? []).flatMap((/** @type {any} */ block) => {
    if (block.type === 'text') return [{ role, text: block.text }]
    if (block.type === 'tool_result') return parts(block.content, 'tool')
    return []
  })
}

/** @param {import('../model-server').Turn} turn @param {import('../model-server').Reply} reply @param {string} id */
function blocks(turn, reply, id) {
  const list = []
  if (reply.thought) list.push({ type: 'thinking', thinking: reply.thought, signature: 'c2lnbmVk' })
  if (reply.text !== undefined) list.push({ type: 'text', text: reply.text })
  const wanted = call(turn.tools, reply)
  if (wanted && 'input' in wanted) list.push({ type: 'tool_use', id: `toolu_${id}`, name: wanted.name, input: wanted.input })
  return { list, stop: wanted ? 'tool_use' : 'end_turn' }
}

/** @type {import('../model-server').Protocol} */
module.exports = {
  name: 'anthropic',
  accepts: (path) => path.endsWith('/messages'),
  read: (body) => ({
    model: body.model,
    stream: body.stream === true,
    tools: (body.tools ?? []).map((/** @type {any} */ tool) => tool.name),
    parts: [
      ...parts(body.system, 'system'),
      ...(body.messages ?? []).flatMap((/** @type {any} */ message) => parts(message.content, message.role)),
    ],
  }),
  *stream(turn, reply, id) {
    const { list, stop } = blocks(turn, reply, id)
    const message = { id: `msg_${id}`, type: 'message', role: 'assistant', model: turn.model, content: [], stop_reason: null, stop_sequence: null }
    yield named({ type: 'message_start', message: { ...message, usage: { ...tokens, output_tokens: 1 } } })
    for (const [index, block] of list.entries()) {
      const empty = { text: { type: 'text', text: '' }, thinking: { type: 'thinking', thinking: '', signature: '' }, tool_use: { ...block, input: {} } }
      yield named({ type: 'content_block_start', index, content_block: empty[/** @type {keyof typeof empty} */ (block.type)] })
      for (const delta of deltas(block)) yield named({ type: 'content_block_delta', index, delta })
      yield named({ type: 'content_block_stop', index })
    }
    yield named({ type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: usage.output } })
    yield named({ type: 'message_stop' })
  },
  whole(turn, reply, id) {
    const { list, stop } = blocks(turn, reply, id)
    return { id: `msg_${id}`, type: 'message', role: 'assistant', model: turn.model, content: list, stop_reason: stop, stop_sequence: null, usage: tokens }
  },
  failure: ({ status, message = 'scripted failure' }) => ({ type: 'error', error: { type: errorType(status), message } }),
}

/** @param {any} block */
function* deltas(block) {
  if (block.type === 'text') for (const text of pieces(block.text)) yield { type: 'text_delta', text }
  if (block.type === 'thinking') {
    for (const thinking of pieces(block.thinking)) yield { type: 'thinking_delta', thinking }
    yield { type: 'signature_delta', signature: block.signature }
  }
  if (block.type === 'tool_use') for (const json of pieces(JSON.stringify(block.input))) yield { type: 'input_json_delta', partial_json: json }
}

/** @param {number} status */
function errorType(status) {
  /** @type {Record<number, string>} */
  const types = { 400: 'invalid_request_error', 401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error', 429: 'rate_limit_error', 529: 'overloaded_error' }
  return types[status] ?? 'api_error'
}
