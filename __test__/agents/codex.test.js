'use strict'

const { turnsOf } = require('./turns')

jest.setTimeout(300_000)

describe('codex', () => turnsOf('codex'))
