'use strict'

/**
 * Stand-ins for the programs these modules start: `docker`, `aws` and `git` as small shell scripts that note how they were
 * called and answer by rules. They are the only thing on PATH, so that no real program is ever reached.
 */

const fs = require('node:fs')
const path = require('node:path')

const PROGRAMS = ['docker', 'aws', 'git']

/**
 * What a program answers.
 * @typedef {object} Rule
 * @property {string} on the command line, exactly, or its beginning followed by `*`
 * @property {string} [out] printed to stdout
 * @property {string} [err] printed to stderr
 * @property {number} [exit] exit code, 0 by default
 * @property {number} [times] how often the rule answers before the next one does; always by default
 * @property {number} [flood] bytes of output to print
 * @property {boolean} [prompt] waits for a line of stdin first, as a login without a terminal does
 * @property {'alone' | 'child' | 'stubborn'} [hang] does not end by itself: just so, or with a child that outlives it and holds
 *   its output open, or not even on SIGTERM
 * @property {boolean} [orphan] ends, but leaves such a child behind
 */

/**
 * One call of a program.
 * @typedef {object} Call
 * @property {string[]} argv the program's name and its arguments
 * @property {string} [stdin] what came by stdin, where the arguments announce a secret there
 */

/** @param {string} text */
const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`

/** @param {Rule} rule @param {number} index */
function answer(rule, index) {
  const prefix = rule.on.endsWith('*')
  const pattern = quote(prefix ? rule.on.slice(0, -1) : rule.on) + (prefix ? '*' : '')
  const steps = []
  if (rule.times !== undefined) {
    steps.push(`n=0; [ -f "$dir/rule-${index}" ] && read n < "$dir/rule-${index}"`)
    steps.push(`[ "$n" -lt ${rule.times} ] || return 0`, `echo "$((n + 1))" > "$dir/rule-${index}"`)
  }
  if (rule.prompt) steps.push('read answer || true')
  if (rule.flood) steps.push(`/usr/bin/head -c ${rule.flood} /dev/zero | /usr/bin/tr '\\0' x`)
  if (rule.out) steps.push(`printf %s ${quote(rule.out)}`)
  if (rule.err) steps.push(`printf %s ${quote(rule.err)} >&2`)
  const child = '/bin/sleep 60 & echo "$!" >> "$dir/children"'
  if (rule.hang) steps.push('echo "$$" >> "$dir/hanging"')
  if (rule.hang === 'alone') steps.push('exec /bin/sleep 60')
  if (rule.hang === 'child') steps.push(child, 'wait')
  if (rule.hang === 'stubborn') steps.push("trap '' TERM", 'while :; do /bin/sleep 0.1; done')
  if (rule.orphan) steps.push(child)
  steps.push(`exit ${rule.exit ?? 0}`)
  return `rule_${index}() {\n${steps.map((step) => `  ${step}`).join('\n')}\n}\ncase "$line" in ${pattern}) rule_${index} ;; esac\n`
}

/**
 * Writes the programs into a folder.
 * @param {string} dir an empty folder
 * @param {Rule[]} rules tried in order; a call that none answers succeeds in silence
 * @param {string[]} [programs] the ones that are installed
 * @returns {string} the folder to put on PATH
 */
function install(dir, rules, programs = PROGRAMS) {
  const bin = path.join(dir, 'bin')
  fs.mkdirSync(bin, { recursive: true })
  const script = `#!/bin/sh
dir=${quote(dir)}
tool=\${0##*/}
line="$tool $*"
input=-
case " $* " in *' --password-stdin '*) input="+$(/bin/cat)" ;; esac
printf '%s\\0' "$#" "$tool" "$@" "$input" >> "$dir/calls"
${rules.map(answer).join('')}`
  for (const program of programs) fs.writeFileSync(path.join(bin, program), script, { mode: 0o755 })
  return bin
}

/**
 * The calls so far, in order.
 * @param {string} dir
 * @returns {Call[]}
 */
function calls(dir) {
  const file = path.join(dir, 'calls')
  if (!fs.existsSync(file)) return []
  const fields = fs.readFileSync(file, 'utf8').split('\0')
  fields.pop()
  /** @type {Call[]} */
  const seen = []
  while (fields.length > 0) {
    const count = Number(fields.shift())
    const argv = fields.splice(0, count + 1)
    const input = /** @type {string} */ (fields.shift())
    seen.push(input === '-' ? { argv } : { argv, stdin: input.slice(1) })
  }
  return seen
}

/** @param {string} file */
const pidsIn = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n').map(Number) : [])

/** Process ids of the programs that do not end by themselves, and of the children that are left behind. @param {string} dir */
const leftovers = (dir) => ({ hanging: pidsIn(path.join(dir, 'hanging')), children: pidsIn(path.join(dir, 'children')) })

module.exports = { install, calls, leftovers }
