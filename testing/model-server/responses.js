'use strict'

/** OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses-streaming */

const { named, pieces, usage } = require('./sse')
const { call } = require('./tools')

const tokens = {
  input_tokens: usage.input,
  input_tokens_details: { cached_tokens: usage.cached },
  output_tokens: usage.output,
  output_tokens_details: { reasoning_tokens: usage.reasoning },
  total_tokens: usage.input + usage.output,
}

/** @param {any} content @param {string} role @returns {import('../model-server').Part[]} */
function parts(content, role) {
  if (typeof content === 'string') return [{ role, text: content }]
  return (content ?? []).filter((/** @type {any} */ part) => typeof part.text === 'string').map((/** @type {any} */ part) => ({ role, text: part.text }))
}

/** @param {any} item @returns {import('../model-server').Part[]} */
function read(item) {
  if (item.type === 'function_call_output' || item.type === 'custom_tool_call_output') return parts(item.output, 'tool')
  if (item.role === undefined) return []
  return parts(item.content, item.role === 'developer' ? 'system' : item.role)
}

/** @param {import('../model-server').Turn} turn @param {import('../model-server').Reply} reply @param {string} id */
function items(turn, reply, id) {
  const list = []
  if (reply.thought) list.push({ type: 'reasoning', id: `rs_${id}`, summary: [{ type: 'summary_text', text: reply.thought }], encrypted_content: 'c2VhbGVk' })
  if (reply.text !== undefined) {
    list.push({ type: 'message', id: `msg_${id}`, role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: reply.text, annotations: [] }] })
  }
  const wanted = call(turn.tools, reply)
  if (wanted) {
    const tool = offered(turn.body).find((one) => one.name === wanted.name)
    const place = { call_id: `call_${id}`, status: 'completed', name: wanted.name, ...(tool?.namespace ? { namespace: tool.namespace } : {}) }
    list.push(
      tool?.type === 'custom' && 'script' in wanted
        ? { type: 'custom_tool_call', id: `ctc_${id}`, ...place, input: wanted.script }
        : { type: 'function_call', id: `fc_${id}`, ...place, arguments: JSON.stringify('input' in wanted ? wanted.input : {}) },
    )
  }
  return list
}

/**
 * The tools a request offers, those in namespaces and those that came later in the conversation included.
 * @param {any} body @returns {any[]}
 */
function offered(body) {
  const late = Array.isArray(body.input) ? body.input.filter((/** @type {any} */ item) => item.type === 'additional_tools') : []
  const flat = (/** @type {any} */ tool) => (tool.type === 'namespace' ? tool.tools.map((/** @type {any} */ one) => ({ ...one, namespace: tool.name })) : [tool])
  return [body, ...late].flatMap((place) => place.tools ?? []).flatMap(flat)
}

/** @type {import('../model-server').Protocol} */
module.exports = {
  name: 'responses',
  accepts: (path) => path.endsWith('/responses'),
  read: (body) => ({
    model: body.model,
    stream: body.stream === true,
    tools: offered(body).map((tool) => tool.name ?? tool.type),
    parts: [
      ...parts(body.instructions, 'system'),
      ...(typeof body.input === 'string' ? [{ role: 'user', text: body.input }] : (body.input ?? []).flatMap(read)),
    ],
  }),
  *stream(turn, reply, id) {
    let sequence_number = 0
    const event = (/** @type {{ type: string, [field: string]: unknown }} */ data) => named({ ...data, sequence_number: sequence_number++ })
    const base = { id: `resp_${id}`, object: 'response', created_at: 1, model: turn.model, status: 'in_progress', output: [] }
    const list = items(turn, reply, id)
    yield event({ type: 'response.created', response: base })
    for (const [output_index, item] of list.entries()) {
      const place = { output_index, item_id: item.id }
      yield event({ type: 'response.output_item.added', output_index, item: begun(item) })
      yield* details(item, place, event)
      yield event({ type: 'response.output_item.done', output_index, item })
    }
    yield event({ type: 'response.completed', response: { ...base, status: 'completed', output: list, usage: tokens } })
  },
  whole: (turn, reply, id) => ({
    id: `resp_${id}`,
    object: 'response',
    created_at: 1,
    model: turn.model,
    status: 'completed',
    output: items(turn, reply, id),
    usage: tokens,
  }),
  failure: ({ status, message = 'scripted failure' }) => ({ error: { message, type: status === 401 ? 'authentication_error' : 'api_error', code: code(status) } }),
}

/** @param {any} item */
function begun(item) {
  const open = { ...item, status: 'in_progress' }
  if (item.type === 'message') open.content = []
  if (item.type === 'reasoning') open.summary = []
  if (item.type === 'function_call') open.arguments = ''
  if (item.type === 'custom_tool_call') open.input = ''
  return open
}

/** @param {any} item @param {object} place @param {(data: { type: string, [field: string]: unknown }) => string} event */
function* details(item, place, event) {
  const at = (/** @type {string} */ type, /** @type {object} */ more) => event({ type: `response.${type}`, ...place, ...more })
  if (item.type === 'message') {
    const [part] = item.content
    yield at('content_part.added', { content_index: 0, part: { ...part, text: '' } })
    for (const delta of pieces(part.text)) yield at('output_text.delta', { content_index: 0, delta })
    yield at('output_text.done', { content_index: 0, text: part.text })
    yield at('content_part.done', { content_index: 0, part })
  }
  if (item.type === 'reasoning') {
    const [part] = item.summary
    yield at('reasoning_summary_part.added', { summary_index: 0, part: { ...part, text: '' } })
    for (const delta of pieces(part.text)) yield at('reasoning_summary_text.delta', { summary_index: 0, delta })
    yield at('reasoning_summary_text.done', { summary_index: 0, text: part.text })
    yield at('reasoning_summary_part.done', { summary_index: 0, part })
  }
  if (item.type === 'function_call') {
    for (const delta of pieces(item.arguments)) yield at('function_call_arguments.delta', { delta })
    yield at('function_call_arguments.done', { arguments: item.arguments })
  }
  if (item.type === 'custom_tool_call') {
    for (const delta of pieces(item.input)) yield at('custom_tool_call_input.delta', { delta })
    yield at('custom_tool_call_input.done', { input: item.input })
  }
}

/** @param {number} status */
function code(status) {
  /** @type {Record<number, string>} */
  const codes = { 401: 'invalid_api_key', 404: 'model_not_found', 429: 'rate_limit_exceeded', 503: 'server_is_overloaded' }
  return codes[status] ?? null
}
