'use strict'

/**
 * Hands secrets to a command of a provider that takes nothing but a line. What is in a line is in the arguments of a shell,
 * where every process of the sandbox and the provider's own records can read it. So the sandbox makes a pair of keys for this
 * one command and tells the public one; the line carries what only the other opens, and removes that before anything else.
 */

const { createPublicKey, publicEncrypt, constants } = require('node:crypto')

/** Bits of the keys. */
const BITS = 2048
/** Bytes of text in one block: what RSA and OAEP with SHA-256 take (RFC 8017, section 7.1.1). */
const BLOCK = BITS / 8 - 2 * 32 - 2

/** The same two steps with each of two programs, one of which is wherever an agent is. `$d` is the folder of the key. */
const TOOLS = {
  openssl: {
    make: `openssl genrsa -out "$d/key" ${BITS} 2>/dev/null && openssl rsa -in "$d/key" -pubout 2>/dev/null`,
    open: (/** @type {string[]} */ blocks) =>
      `for b in ${blocks.join(' ')}; do printf %s "$b" | openssl base64 -d -A | ` +
      'openssl pkeyutl -decrypt -inkey "$d/key" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256; done',
  },
  node: {
    make:
      `node -e 'const k = require("crypto").generateKeyPairSync("rsa", { modulusLength: ${BITS}, ` +
      'publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } }); ' +
      'require("fs").writeFileSync(process.argv[1], k.privateKey); console.log(k.publicKey)\' "$d/key"',
    open: (/** @type {string[]} */ blocks) =>
      'node -e \'const key = require("fs").readFileSync(process.argv[1]); for (const b of process.argv.slice(2)) ' +
      'process.stdout.write(require("crypto").privateDecrypt({ key, oaepHash: "sha256" }, Buffer.from(b, "base64")))\' ' +
      `"$d/key" ${blocks.join(' ')}`,
  },
}

/** Makes a key; prints who made it, where it is, and its public half. */
const MAKE =
  `(umask 077; d=$(mktemp -d) || exit 1; for t in ${Object.keys(TOOLS).join(' ')}; do command -v $t >/dev/null || continue; ` +
  `k=$(case $t in ${Object.entries(TOOLS).map(([name, { make }]) => `${name}) ${make};;`).join(' ')} esac) && ` +
  `{ printf '%s %s\\n%s\\n' $t "$d" "$k"; exit 0; }; done; rm -rf "$d"; exit 1)`

/** What it prints, also through a terminal. */
const KEY = /^(openssl|node) (\/[\w./-]+)\r?\n(-----BEGIN PUBLIC KEY-----[^]*?-----END PUBLIC KEY-----)/m

/**
 * The line with secrets for it. A sandbox that can make no key gets the line alone: whoever needs the secret there says so.
 * @param {(line: string) => Promise<string>} run makes the key: runs a line, gives what it printed
 * @param {string} exports what the shell is to be told before, in its own words
 * @param {string} line
 * @returns {Promise<string>}
 */
async function sealed(run, exports, line) {
  const printed = await run(MAKE)
  const [, tool, folder, pem] = KEY.exec(printed) ?? []
  if (pem === undefined) return line
  const blocks = seal(pem, exports)
  if (blocks === undefined) return line
  const opened = TOOLS[/** @type {keyof typeof TOOLS} */ (tool)].open(blocks)
  // In a shell of its own: providers may keep one for all commands, in which the secret would stay.
  return `(d=${folder}; s=$(${opened}); rm -rf "$d"; eval "$s"; ${line})`
}

/** The text in blocks only the key's other half opens; nothing if it is no such key. @param {string} pem @param {string} text */
function seal(pem, text) {
  try {
    const known = createPublicKey(pem)
    if (known.asymmetricKeyType !== 'rsa' || (known.asymmetricKeyDetails?.modulusLength ?? 0) < BITS) return undefined
    const key = { key: known, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    const bytes = Buffer.from(text)
    const blocks = []
    for (let at = 0; at < bytes.length; at += BLOCK) blocks.push(publicEncrypt(key, bytes.subarray(at, at + BLOCK)).toString('base64'))
    return blocks
  } catch {
    return undefined
  }
}

module.exports = { sealed }
