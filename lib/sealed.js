'use strict'

/**
 * Hands secrets to a command of a provider that takes nothing but a line. What is in a line is in the arguments of a shell,
 * where every process of the sandbox and the provider's own records can read it. So the sandbox makes a pair of keys for this
 * one command and tells the public one; the line carries what only the other opens, and removes that before anything else.
 */

const { createPublicKey, publicEncrypt, constants } = require('node:crypto')

/** Bytes of text in one block: what RSA with 2048 bits and OAEP with SHA-256 takes (RFC 8017, section 7.1.1). */
const BLOCK = 2048 / 8 - 2 * 32 - 2

/** The same two steps with each of two programs, one of which is wherever an agent is. `$d` is the folder of the key. */
const TOOLS = {
  openssl: {
    make: 'openssl genrsa -out "$d/key" 2048 2>/dev/null && openssl rsa -in "$d/key" -pubout 2>/dev/null',
    open: (/** @type {string[]} */ blocks) =>
      `for b in ${blocks.join(' ')}; do printf %s "$b" | openssl base64 -d -A | ` +
      'openssl pkeyutl -decrypt -inkey "$d/key" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256; done',
  },
  node: {
    make:
      'node -e \'const k = require("crypto").generateKeyPairSync("rsa", { modulusLength: 2048, ' +
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

/**
 * The line with secrets for it. A sandbox that can make no key gets the line alone: whoever needs the secret there says so.
 * @param {(line: string) => unknown} run makes the key: runs a line, gives the provider's answer
 * @param {string} exports what the shell is to be told before, in its own words
 * @param {string} line
 * @returns {Promise<string>}
 */
async function sealed(run, exports, line) {
  const key = await run(MAKE)
  const [, tool, folder, pem] = /^(openssl|node) (\/[\w./-]+)\n(-----BEGIN PUBLIC KEY-----[^]*?-----END PUBLIC KEY-----)/m.exec(textOf(key)) ?? []
  if (pem === undefined) return line
  const blocks = seal(pem, exports)
  if (blocks === undefined) return line
  const opened = TOOLS[/** @type {keyof typeof TOOLS} */ (tool)].open(blocks)
  // In a shell of its own: providers may keep one for all commands, in which the secret would stay.
  return `(d=${folder}; s=$(${opened}); rm -rf "$d"; eval "$s"; ${line})`
}

/** @param {string} pem @param {string} text @returns {string[] | undefined} */
function seal(pem, text) {
  try {
    const key = { key: createPublicKey(pem), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    const bytes = Buffer.from(text)
    const blocks = []
    for (let at = 0; at < bytes.length; at += BLOCK) blocks.push(publicEncrypt(key, bytes.subarray(at, at + BLOCK)).toString('base64'))
    return blocks
  } catch {
    // It was no key.
    return undefined
  }
}

/** @param {unknown} answer */
function textOf(answer) {
  const stdout = /** @type {{ stdout?: unknown } | null | undefined} */ (answer)?.stdout
  return typeof stdout === 'string' ? stdout : ''
}

module.exports = { sealed }
