'use strict'

/** What a provider's answer becomes. */

const { command, tests, answering, success, outcome, observe, scenarios } = require('../harness')

const sorted = (value) => value

class Answer {
  exitCode = 0
  stdout = 'own'
  #hidden = 1

  get stderr() {
    return `behind a getter ${this.#hidden}`
  }

  method() {}
}

const ANSWERS = {
  'undefined': undefined,
  'false': false,
  'a number': 7,
  'text': 'done',
  'an array': [1, 2],
  'an empty object': {},
  'an instance of a class': new Answer(),
  'an object without a prototype': Object.assign(Object.create(null), success),
  'getters': { exitCode: 0, get stdout() { return 'computed' }, stderr: '' },
  'a property that is not enumerable': Object.defineProperty({ ...success }, 'secret', { value: 1, enumerable: false }),
  'a frozen object': Object.freeze({ ...success, frozen: true }),
  'an exit code that is text': { ...success, exitCode: '3' },
  'no exit code': { stdout: 'x', stderr: 'y' },
  'a negative exit code': { ...success, exitCode: -1 },
  'texts with quotes and line breaks': { exitCode: 0, stdout: 'say "hi"\n\\ end', stderr: '\u2028\u0000' },
  'half a surrogate pair': { exitCode: 0, stdout: 'x\ud83d', stderr: '' },
  'dates and nested undefined': { ...success, when: new Date(0), deep: { none: undefined, list: [undefined] } },
  'NaN': { ...success, exitCode: NaN },
  'toJSON that gives nothing': { ...success, toJSON: () => undefined },
  'a later sandboxId': { ...success, sandboxId: undefined },
}

module.exports = [
  ...scenarios('result', Object.fromEntries(Object.entries(ANSWERS).map(([name, answer]) => [name, (sdk) => command(sdk, answering(() => answer)).then(sorted)]))),
  ...scenarios('result of runTests', Object.fromEntries(['text', 'an empty object', 'getters', 'no exit code'].map((name) => [name, (sdk) => tests(sdk, answering(() => ANSWERS[name]))]))),
  ...scenarios('result', {
    'a BigInt': (sdk) => command(sdk, answering(() => ({ ...success, big: 1n }))).then(({ events, result: { rejected } }) => [events.filter(([name]) => name === 'stdout').length, rejected]),
    'a circle': async (sdk) => {
      const circle = { ...success }
      circle.self = circle
      const { result: { rejected } } = await command(sdk, answering(() => circle))
      return rejected.message.split('\n')[0]
    },
    'a symbol as key': async (sdk) => {
      const key = Symbol('s')
      const { kit } = observe(sdk, answering(() => ({ ...success, [key]: 1 })))
      const result = await kit.executeCommand('cmd')
      return [result[key], Object.keys(result)]
    },
    'nested objects are the provider\'s own': async (sdk) => {
      const deep = { a: 1 }
      const { kit } = observe(sdk, answering(() => ({ ...success, deep })))
      return (await kit.executeCommand('cmd')).deep === deep
    },
    'functions are passed through': async (sdk) => {
      const { kit } = observe(sdk, answering(() => ({ ...success, wait: () => 'waited' })))
      return (await kit.executeCommand('cmd')).wait()
    },
    'a thenable that rejects': (sdk) => command(sdk, answering(() => ({ then: (_resolve, reject) => reject(new Error('no')) }))),
    'a thenable of a thenable': (sdk) => command(sdk, answering(() => ({ then: (resolve) => resolve({ then: (inner) => inner(success) }) }))),
    'a promise that takes its time': (sdk) => command(sdk, answering(() => new Promise((resolve) => setTimeout(resolve, 5, { ...success, late: true })))),
    'create() gives a plain value': (sdk) => command(sdk, { create: () => ({ sandboxId: 'plain', commands: { run: () => success } }) }),
    'create() gives a thenable': (sdk) => command(sdk, { create: () => ({ then: (resolve) => resolve({ sandboxId: 'then', commands: { run: () => success } }) }) }),
    'output by timers': (sdk) =>
      command(sdk, answering(async (_line, { onStdout, onStderr }) => {
        for (const chunk of ['{"a"', ':1}', ' tail']) {
          await new Promise(setImmediate)
          onStdout(chunk)
        }
        onStderr('why')
        return success
      })),
    'output after the result': async (sdk) => {
      let late
      const { kit, events } = observe(sdk, answering((_line, { onStdout }) => {
        late = onStdout
        return success
      }))
      const result = await outcome(kit.executeCommand('cmd'))
      late('{"late":')
      late('1}')
      late('text')
      return { result, events }
    },
    'an id behind a getter, read when it is needed': async (sdk) => {
      let reads = 0
      const instance = { get sandboxId() { return `id-${Math.min(++reads, 1)}` }, commands: { run: () => success } }
      const { kit } = observe(sdk, { create: () => instance })
      return [await outcome(kit.executeCommand('x')), await kit.getSession()]
    },
    'an id that is a number': async (sdk) => {
      const { kit } = observe(sdk, { create: () => ({ sandboxId: '42', commands: { run: () => success } }) })
      return [await outcome(kit.executeCommand('x')), await kit.getSession()]
    },
  }),
]
