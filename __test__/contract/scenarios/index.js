'use strict'

/** Every scenario of the differential suite. */
const all = [
  'surface', 'setup', 'commands', 'streams', 'results', 'errors', 'options', 'events', 'sessions', 'branches', 'agents', 'generate', 'tests', 'concurrency', 'repositories', 'generated',
].flatMap((name) => require(`./${name}`))

module.exports = { all }
