'use strict'

/** How output becomes messages: the same chunks on each way a message can take. */

const { command, tests, printing, deviation, scenarios } = require('../harness')

/** Streams of JSON alone or of text alone: what upstream makes of them is what we make of them. */
const KEPT = {
  'nothing': [],
  'two messages in a chunk': ['{"a":1}{"b":2}'],
  'messages in lines': ['{"a":1}\n{"b":2}\n'],
  'a message in three chunks': ['{"a"', ':1', '}\n{"b":2}'],
  'a newline in a chunk of its own': ['{"a":1}', '\n', '{"b":2}'],
  'lines that end in CR LF': ['{"a":1}\r\n{"b":2}\r\n'],
  'an empty line between messages': ['{"a":1}\n\n{"b":2}'],
  'blanks before a message': ['  \t{"a":1}'],
  'text in two chunks': ['hello ', 'world\n'],
  'text with a blank end': ['  hello  \n\n'],
  'text behind a message': ['{"a":1} tail'],
  'an unfinished message': ['{"a":1'],
  'an unfinished message behind one': ['{"a":1}\n{"b":'],
  'blank output': ['  \n', '\n'],
  'an empty chunk': ['', '{"a":', '', '1}', ''],
  'braces inside of strings': ['{"a":"}{\\""}'],
  'escapes inside of strings': ['{"a":"\\\\","b":"\\u007d\\n"}{"c":1}'],
  'deep nesting': [`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`],
  'arrays inside of a message': ['{"a":[{"b":1},{"c":[]}]}{"d":1}'],
  'a message over several lines': ['{\n  "a": 1,\n  "b": [\n    2\n  ]\n}\n{"c":3}\n'],
  'half a surrogate pair per chunk': ['{"a":"\ud83d', '\ude00"}', 'x\ud83d', '\ude00y'],
  'half a surrogate pair at the end': ['{"a":1}', 'x\ud83d'],
  'NUL characters': ['{"a"\0:1}', 'x\0y'],
  'a byte order mark in text': ['\ufeffhello'],
  'a message in chunks of one character': [...'{"a":"b\\"}","c":[1,{}]}\n{"d":null}'],
  'many messages': [Array.from({ length: 300 }, (_, n) => JSON.stringify({ n })).join('\n')],
  'a long message': [JSON.stringify({ text: 'x'.repeat(70_000) })],
  'a long message in pieces': JSON.stringify({ text: 'x'.repeat(20_000) }).match(/.{1,997}/g),
  'text of several lines': ['one\ntwo\n', 'three'],
  'a closing brace first': ['} {"a":1}'],
  'a quote that is never closed': ['say "hi {"a":1} x'],
}

/** Streams in which upstream loses something (D6). What must come is in the text, whatever the cuts. */
const MIXED = {
  'text before a message': [['hello\n{"a":1}\n'], ['hello', '{"a":1}']],
  'text between messages': [['{"a":1}\nplain\n{"b":2}\n'], ['{"a":1}', 'plain', '{"b":2}']],
  'code with braces': [['function f() { return 1; }\nafter'], ['function f() { return 1; }', 'after']],
  'an array of messages': [['[{"a":1},{"b":2}]'], ['{"a":1}', '{"b":2}', ']']],
  'braces that are no JSON': [['{not json}{"a":1}'], ['{not json}', '{"a":1}']],
  'text in chunks before a message in chunks': [['he', 'llo\n{"a"', ':1}'], ['hello', '{"a":1}']],
}

/** Each kind of call with its output on one stream. */
const WAYS = {
  'executeCommand, stdout': (sdk, chunks) => command(sdk, printing(chunks)),
  'executeCommand, stderr': (sdk, chunks) => command(sdk, printing([], chunks)),
  'runTests': (sdk, chunks) => tests(sdk, printing(chunks)),
}

const messagesOf = ({ events }) => events.map(([, text]) => text).filter((text) => typeof text === 'string' && !/^\{"type": "(start|end)"/.test(text))

module.exports = [
  ...Object.entries(WAYS).flatMap(([way, call]) => [
    ...scenarios(`stream, ${way}`, Object.fromEntries(Object.entries(KEPT).map(([name, chunks]) => [name, (sdk) => call(sdk, chunks)]))),
    ...Object.entries(MIXED).map(([name, [chunks, wanted]]) =>
      deviation('D6', `nothing is lost of ${name} (${way})`, (sdk) => call(sdk, chunks), (ours, theirs, expect) => {
        const text = messagesOf(ours).join('')
        for (const part of wanted) expect(text).toContain(part)
        // What upstream delivers comes as well.
        for (const message of messagesOf(theirs)) expect(text).toContain(message.trim())
      }),
    ),
  ]),
  ...scenarios('stream', {
    'text on both streams': (sdk) => command(sdk, printing(['out\n'], ['err\n'])),
    'messages on both streams, in turns': (sdk) =>
      command(sdk, {
        run(line, options = {}) {
          if (!options.onStderr) return { exitCode: 0, stdout: '', stderr: '' }
          options.onStdout('{"a":')
          options.onStderr('{"b":')
          options.onStdout('1}')
          options.onStderr('2} rest of b')
          options.onStdout('rest of a')
          return { exitCode: 0, stdout: '', stderr: '' }
        },
      }),
    'text on both streams of runTests': (sdk) => tests(sdk, printing(['out\n'], ['err\n'])),
  }),
]
