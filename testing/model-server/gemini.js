'use strict'

/** Google's Gemini API: https://ai.google.dev/api/generate-content */

const { plain, pieces, usage } = require('./sse')
const { call } = require('./tools')

const usageMetadata = {
  promptTokenCount: usage.input,
  cachedContentTokenCount: usage.cached,
  candidatesTokenCount: usage.output - usage.reasoning,
  thoughtsTokenCount: usage.reasoning,
  totalTokenCount: usage.input + usage.output,
}

const place = /\/models\/([^/:]+):(streamGenerateContent|generateContent)$/

/** @param {any} content @param {string} role @returns {import('../model-server').Part[]} */
function parts(content, role) {
  return (content?.parts ?? []).flatMap((/** @type {any} */ part) => {
    if (part.functionResponse) return [{ role: 'tool', text: JSON.stringify(part.functionResponse.response) }]
    return typeof part.text === 'string' ? [{ role, text: part.text }] : []
  })
}

/** @param {import('../model-server').Turn} turn @param {object[]} list @param {string | undefined} finishReason */
const answer = (turn, list, finishReason) => ({
  candidates: [{ index: 0, content: { role: 'model', parts: list }, ...(finishReason ? { finishReason } : {}) }],
  modelVersion: turn.model,
  ...(finishReason ? { usageMetadata } : {}),
})

/** @param {import('../model-server').Turn} turn @param {import('../model-server').Reply} reply @param {string} id */
function functionCalls(turn, reply, id) {
  const wanted = call(turn.tools, reply)
  if (!wanted || !('input' in wanted)) return []
  return [{ functionCall: { id: `fc_${id}`, name: wanted.name, args: wanted.input }, thoughtSignature: 'c2lnbmVk' }]
}

/** @type {import('../model-server').Protocol} */
module.exports = {
  name: 'gemini',
  accepts: (path) => place.test(path),
  read(body, path) {
    const [, model, method] = /** @type {RegExpMatchArray} */ (path.match(place))
    return {
      model,
      stream: method === 'streamGenerateContent',
      tools: (body.tools ?? []).flatMap((/** @type {any} */ tool) => (tool.functionDeclarations ?? []).map((/** @type {any} */ one) => one.name)),
      parts: [
        ...parts(body.systemInstruction, 'system'),
        ...(body.contents ?? []).flatMap((/** @type {any} */ content) => parts(content, content.role === 'model' ? 'assistant' : content.role)),
      ],
    }
  },
  *stream(turn, reply, id) {
    if (reply.thought) yield plain(answer(turn, [{ text: reply.thought, thought: true }], undefined))
    if (reply.text !== undefined) for (const text of pieces(reply.text)) yield plain(answer(turn, [{ text }], undefined))
    yield plain(answer(turn, functionCalls(turn, reply, id), 'STOP'))
  },
  whole: (turn, reply, id) => answer(turn, [...(reply.text === undefined ? [] : [{ text: reply.text }]), ...functionCalls(turn, reply, id)], 'STOP'),
  failure: ({ status, message = 'scripted failure' }) => ({ error: { code: status, message, status: status === 401 ? 'UNAUTHENTICATED' : 'UNKNOWN' } }),
}
