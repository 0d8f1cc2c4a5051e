'use strict'

/**
 * Models that answer with objects, in the three wire shapes of the vendors: Anthropic Messages with a tool, OpenAI Responses
 * with a schema, Chat Completions with a tool or a schema. Each request is checked against its shape.
 */

const { serve, read } = require('./loopback')

/** What is answered: every text the schema asks for. */
const WORDS = {
  title: 'Add a greeting', body: 'It greets.', branchName: 'add-greeting', commitMessage: 'Add a "greeting" for $USER and `you`',
}

/** @param {{ words?: Record<string, string> }} [options] */
function createModel({ words = WORDS } = {}) {
  /** @type {Array<{ path: string, headers: Record<string, any>, body: any, prompt: string, schema: any }>} */
  const requests = []
  /** @type {string[]} */
  const complaints = []
  /** Answers to give first, one after the other. @type {Array<{ status: number, body: unknown }>} */
  const first = []

  /**
   * @param {{ path: string, headers: Record<string, any>, body: string }} request
   * @returns {{ status: number, body: unknown }}
   */
  function answer({ path, headers, body: text }) {
    /** @param {unknown} holds @param {string} what */
    const ensure = (holds, what) => void (holds || complaints.push(`${path}: ${what}`))
    const body = JSON.parse(text)
    const call = { path, headers, body, prompt: '', schema: /** @type {any} */ (undefined) }
    requests.push(call)
    /** @param {any} schema */
    const object = (schema) => {
      call.schema = schema
      ensure(schema?.additionalProperties === false && schema?.type === 'object', 'no strict schema')
      return Object.fromEntries((schema?.required ?? []).map((/** @type {string} */ key) => [key, words[key]]))
    }
    /** @type {unknown} */
    let result
    if (path.endsWith('/messages')) {
      ensure(headers['anthropic-version'] === '2023-06-01', 'no version')
      ensure(Boolean(headers['x-api-key']) !== Boolean(headers.authorization), 'one credential')
      ensure(body.max_tokens === 4096 && body.temperature === 0, 'limits')
      ensure(body.tool_choice?.name === 'json', 'no tool choice')
      call.prompt = body.messages[0].content[0].text
      const input = object(body.tools[0].input_schema)
      result = {
        id: 'msg_1', type: 'message', role: 'assistant', model: body.model, stop_reason: 'tool_use', stop_sequence: null,
        content: [{ type: 'text', text: 'Here.' }, { type: 'tool_use', id: 't', name: 'json', input }],
        usage: { input_tokens: 1, output_tokens: 1 },
      }
    } else if (path.endsWith('/responses')) {
      call.prompt = body.input[0].content[0].text
      ensure(body.text.format.type === 'json_schema' && body.text.format.strict === true, 'no schema')
      ensure(('temperature' in body) !== /^(o|gpt-5)/.test(body.model), 'temperature')
      const content = [{ type: 'output_text', text: JSON.stringify(object(body.text.format.schema)), annotations: [] }]
      result = {
        id: 'resp_1', created_at: 1, model: body.model, incomplete_details: null,
        output: [{ type: 'reasoning', id: 'rs_1', summary: [] }, { type: 'message', id: 'msg_1', role: 'assistant', content }],
        usage: { input_tokens: 1, output_tokens: 1 },
      }
    } else if (path.endsWith('/chat/completions')) {
      call.prompt = body.messages[0].content
      const schema = body.response_format?.json_schema.schema ?? body.tools?.[0].function.parameters
      const answered = JSON.stringify(object(schema))
      const message = body.response_format
        ? { role: 'assistant', content: answered }
        : { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'json', arguments: answered } }] }
      const usage = { prompt_tokens: 1, completion_tokens: 1 }
      result = { id: 'chatcmpl-1', created: 1, model: body.model, choices: [{ index: 0, message, finish_reason: 'stop' }], usage }
    } else {
      return { status: 404, body: { error: { message: `no such path: ${path}` } } }
    }
    return first.shift() ?? { status: 200, body: result }
  }

  return { requests, complaints, first, answer }
}

/** The same, listening on loopback. @param {Parameters<typeof createModel>[0]} [options] */
async function startWordsServer(options) {
  const model = createModel(options)
  const server = await serve(async (request, response) => {
    const body = (await read(request)).toString()
    const answer = model.answer({ path: String(request.url), headers: request.headers, body })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  })
  return { ...model, ...server }
}

/**
 * A `fetch` that answers from doubles by host, and refuses everything else.
 * @param {Record<string, { answer: (request: any) => { status: number, body: unknown } }>} hosts
 */
function stubFetch(hosts) {
  /** @type {Array<[string, Record<string, any>]>} */
  const calls = []
  /** @param {string} url @param {Record<string, any>} init */
  const fetch = async (url, init = {}) => {
    calls.push([url, init])
    const { host, pathname } = new URL(url)
    const double = hosts[host]
    if (!double) throw new TypeError('fetch failed', { cause: new Error(`nobody is at ${host}`) })
    const headers = Object.fromEntries(Object.entries(init.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
    const { status, body } = double.answer({ method: init.method ?? 'GET', path: pathname, headers, body: init.body ?? '' })
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status })
  }
  return Object.assign(fetch, { calls })
}

module.exports = { WORDS, createModel, startWordsServer, stubFetch }
