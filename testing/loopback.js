'use strict'

const http = require('node:http')

/**
 * A server on loopback.
 * @param {(request: http.IncomingMessage, response: http.ServerResponse) => unknown} answer
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
async function serve(answer) {
  const server = http.createServer((request, response) => {
    Promise.resolve(answer(request, response)).catch((error) => {
      if (!response.headersSent) response.writeHead(500)
      response.end(String(error))
    })
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** The whole body. @param {http.IncomingMessage} request @returns {Promise<Buffer>} */
async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

module.exports = { serve, read }
