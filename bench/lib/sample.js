'use strict'

/**
 * The process of one sample: `node sample.js <case> <subject> <measure|check> <json of Run>`. Writes one line of JSON to
 * file descriptor 3.
 */

const fs = require('node:fs')
const path = require('node:path')

const [, , caseName, subjectName, task, run] = process.argv

async function main() {
  const definition = require(path.join(__dirname, '..', 'cases', `${caseName}.js`))
  const subject = require(path.join(__dirname, '..', 'subjects', `${subjectName}.js`))
  if (task === 'check') {
    await definition.check(subject)
    return { ok: true }
  }
  return { ok: true, metrics: await definition.measure(subject, JSON.parse(run)) }
}

main()
  .catch((error) => ({ ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }))
  .then((answer) => {
    fs.writeSync(3, JSON.stringify(answer))
    // A subject that left something open must not hold the benchmark up; that it does is for the tests to find.
    process.exit(0)
  })
