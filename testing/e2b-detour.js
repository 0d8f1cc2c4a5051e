'use strict'

/**
 * Leads clients of E2B that know no other place than `e2b.dev` (the one inside `@vibe-kit/e2b`) to a double: `fetch` of this realm is
 * replaced, so that this has to come before such a client is loaded.
 *
 * @example
 * const back = detour('http://127.0.0.1:4000')
 */

/**
 * @param {string} url of the double
 * @param {Record<string, any>} [realm] whose `fetch`
 * @returns {() => void} takes it back
 */
function detour(url, realm = globalThis) {
  const { fetch, Request } = realm
  realm.fetch = async (/** @type {any} */ input, /** @type {any} */ init) => {
    const { hostname, pathname, search } = new URL(input.url ?? input)
    if (!hostname.endsWith('.e2b.dev')) return fetch(input, init)
    const place = url + pathname + search
    // The data plane's names are `<port>-<id>-<client id>.e2b.dev`.
    const [port, id] = hostname.split('.')[0].split('-')
    const sandbox = id ? { 'e2b-sandbox-id': id, 'e2b-sandbox-port': port } : {}
    if (!(input instanceof Request)) return fetch(place, { ...init, headers: { ...Object.fromEntries(new realm.Headers(init?.headers)), ...sandbox } })
    const request = new Request(input, init)
    const { method, signal } = request
    const body = method === 'GET' || method === 'HEAD' ? undefined : await request.arrayBuffer()
    return fetch(place, { method, headers: { ...Object.fromEntries(request.headers), ...sandbox }, body, signal })
  }
  return () => {
    realm.fetch = fetch
  }
}

module.exports = { detour }
