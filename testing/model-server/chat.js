'use strict'

/** OpenAI's Chat Completions API: https://platform.openai.com/docs/api-reference/chat-streaming */

const { plain, pieces, usage } = require('./sse')
const { call } = require('./tools')

const tokens = {
  prompt_tokens: usage.input,
  prompt_tokens_details: { cached_tokens: usage.cached },
  completion_tokens: usage.output,
  completion_tokens_details: { reasoning_tokens: usage.reasoning },
  total_tokens: usage.input + usage.output,
}

/** @param {any} message @returns {import('../model-server').Part[]} */
function parts({ role, content }) {
  const name = role === 'developer' ? 'system' : role
  if (typeof content === 'string') return [{ role: name, text: content }]
  return (content ?? []).filter((/** @type {any} */ part) => part.type === 'text').map((/** @type {any} */ part) => ({ role: name, text: part.text }))
}

/** @param {import('../model-server').Turn} turn @param {import('../model-server').Reply} reply @param {string} id */
function toolCalls(turn, reply, id) {
  const wanted = call(turn.tools, reply)
  if (!wanted || !('input' in wanted)) return []
  return [{ index: 0, id: `call_${id}`, type: 'function', function: { name: wanted.name, arguments: JSON.stringify(wanted.input) } }]
}

/** @type {import('../model-server').Protocol} */
module.exports = {
  name: 'chat',
  accepts: (path) => path.endsWith('/chat/completions'),
  read: (body) => ({
    model: body.model,
    stream: body.stream === true,
    tools: (body.tools ?? []).map((/** @type {any} */ tool) => tool.function?.name ?? tool.type),
    parts: (body.messages ?? []).flatMap(parts),
  }),
  *stream(turn, reply, id) {
    const chunk = (/** @type {object} */ delta, /** @type {string | null} */ finish_reason = null, /** @type {object} */ more = {}) =>
      plain({ id: `chatcmpl_${id}`, object: 'chat.completion.chunk', created: 1, model: turn.model, choices: [{ index: 0, delta, finish_reason }], ...more })
    const calls = toolCalls(turn, reply, id)
    yield chunk({ role: 'assistant', content: '' })
    if (reply.thought) for (const reasoning_content of pieces(reply.thought)) yield chunk({ reasoning_content })
    if (reply.text !== undefined) for (const content of pieces(reply.text)) yield chunk({ content })
    if (calls.length) yield chunk({ tool_calls: calls })
    yield chunk({}, calls.length ? 'tool_calls' : 'stop', { usage: tokens })
    yield 'data: [DONE]\n\n'
  },
  whole(turn, reply, id) {
    const calls = toolCalls(turn, reply, id)
    const message = { role: 'assistant', content: reply.text ?? null, ...(calls.length ? { tool_calls: calls } : {}) }
    return {
      id: `chatcmpl_${id}`,
      object: 'chat.completion',
      created: 1,
      model: turn.model,
      choices: [{ index: 0, message, finish_reason: calls.length ? 'tool_calls' : 'stop' }],
      usage: tokens,
    }
  },
  failure: ({ status, message = 'scripted failure' }) => ({ error: { message, type: 'api_error', code: String(status) } }),
}
