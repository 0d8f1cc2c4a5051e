'use strict'

const { again } = require('../harness')

const GROUPS = [
  'surface', 'setup', 'commands', 'streams', 'results', 'errors', 'options', 'events', 'sessions', 'branches', 'agents', 'generate', 'tests', 'concurrency',
  'repositories', 'generated', 'planned',
]

/** Of these all second commands are compared as well: for them the machine has a plan. */
const AGAIN = ['commands', 'streams', 'results', 'errors', 'events', 'branches', 'generated']

/** Every scenario of the differential suite. */
const all = [
  ...GROUPS.flatMap((name) => require(`./${name}`)),
  ...AGAIN.flatMap((name) => again(require(`./${name}`))),
]

module.exports = { all }
