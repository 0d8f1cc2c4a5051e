//! Buffers against slow, obvious re-statements of what they must do.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use vibekit_core::stream::{Compat, Cutter, Json, Lines, Live, Utf8, Verdict};

/// Text made of what the scanners care about, dense enough to hit their corners.
fn soup() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "[",
        "]",
        ",",
        ":",
        "a",
        "1",
        "-",
        "true",
        "\u{0}",
        "\u{85}",
        "\u{feff}",
        "\u{e9}",
        "\u{1f600}",
        "{\"a\":1}",
        "{\"a\":1}\n",
        "{}",
        "\n{\"k\":\"}{\\\"\"}\n",
        "{\"a\":{\"b\":[1,2,{}]}}",
        "plain text\n",
        "{ x }",
        "{\"a\":1e400}",
        "{\"\\ud83d\":\"\\u00e9\"}",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// JSON objects with white space between them, as agents print them.
fn json_only() -> impl Strategy<Value = String> {
    let object = prop::sample::select(vec![
        "{}",
        "{\"a\":1}",
        "{\"a\":\"}{\"}",
        "{ \"a\" : [ { } , { } ] }",
        "{\"q\":\"\\\"\\\\\"}",
        "{\"u\":\"\u{e9}\u{1f600}\"}",
    ]);
    let space = prop::sample::select(vec!["", "\n", "\n\n", "\r\n", " ", "\n  "]);
    prop::collection::vec((object, space), 0..12)
        .prop_map(|parts| parts.iter().map(|(object, space)| format!("{object}{space}")).collect())
}

/// Cuts into chunks at the given fractions.
fn cut<T: Clone>(whole: &[T], cuts: &[prop::sample::Index]) -> Vec<Vec<T>> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
    at.extend([0, whole.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| whole[pair[0]..pair[1]].to_vec()).collect()
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

/// The TypeScript SDK's buffer, word for word from its description: it rescans everything on every chunk.
#[derive(Default)]
struct Naive {
    buffer: Vec<u16>,
    out: Vec<Vec<u16>>,
}

impl Naive {
    fn push(&mut self, chunk: &[u16]) {
        self.buffer.extend(chunk.iter().filter(|&&unit| unit != 0));
        let (mut depth, mut in_string, mut skip, mut cut) = (0_i64, false, false, 0);
        let mut at = 0;
        while at < self.buffer.len() {
            let unit = self.buffer[at];
            at += 1;
            if skip {
                skip = false;
            } else if unit == u16::from(b'\\') {
                skip = true;
            } else if unit == u16::from(b'"') {
                in_string = !in_string;
            } else if !in_string && unit == u16::from(b'{') {
                depth += 1;
            } else if !in_string && unit == u16::from(b'}') {
                depth -= 1;
                if depth == 0 {
                    let candidate = &self.buffer[cut..at];
                    if is_json(&String::from_utf16_lossy(candidate)) {
                        self.out.push(candidate.to_vec());
                    }
                    if self.buffer.get(at) == Some(&u16::from(b'\n')) {
                        at += 1;
                    }
                    cut = at;
                }
            }
        }
        self.buffer.drain(..cut);
    }

    fn finish(mut self) -> Vec<Vec<u16>> {
        if !js_blank(&String::from_utf16_lossy(&self.buffer)) {
            self.out.push(self.buffer);
        }
        self.out
    }
}

/// What is added to that, unit by unit: text the SDK lost is delivered, and so is JSON behind text.
#[derive(Default)]
struct Rules {
    held: Vec<u16>,
    depth: i64,
    in_string: bool,
    skip: bool,
    brace: usize,
    out: Vec<Vec<u16>>,
}

impl Rules {
    fn push(&mut self, chunk: &[u16]) {
        let chunk: Vec<u16> = chunk.iter().copied().filter(|&unit| unit != 0).collect();
        let mut units = chunk.iter().peekable();
        while let Some(&unit) = units.next() {
            self.held.push(unit);
            match u8::try_from(unit).unwrap_or(0) {
                _ if std::mem::take(&mut self.skip) => {}
                b'\\' => self.skip = true,
                b'"' => self.in_string = !self.in_string,
                b'{' if !self.in_string => {
                    self.depth += 1;
                    if self.depth == 1 {
                        self.brace = self.held.len() - 1;
                    }
                }
                b'}' if !self.in_string => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let feed = units.next_if(|&&next| next == u16::from(b'\n')).is_some();
                        self.candidate(feed);
                    }
                }
                _ => {}
            }
        }
    }

    fn candidate(&mut self, feed: bool) {
        let mut candidate = std::mem::take(&mut self.held);
        let json = |units: &[u16]| String::from_utf16(units).is_ok_and(|text| is_json(&text));
        if json(&candidate) {
            self.out.push(candidate);
        } else if candidate.get(self.brace) == Some(&u16::from(b'{')) && json(&candidate[self.brace..]) {
            let object = candidate.split_off(self.brace);
            if !js_blank(&String::from_utf16_lossy(&candidate)) {
                self.out.push(candidate);
            }
            self.out.push(object);
        } else {
            candidate.extend(feed.then_some(u16::from(b'\n')));
            self.out.push(candidate);
        }
    }

    fn finish(mut self) -> Vec<Vec<u16>> {
        if !js_blank(&String::from_utf16_lossy(&self.held)) {
            self.out.push(self.held);
        }
        self.out
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn js_blank(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\u{9}'..='\u{d}' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
            | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}')
    })
}

fn compat16(chunks: &[Vec<u16>]) -> Vec<Vec<u16>> {
    let (mut buffer, mut out) = (Compat::new(), Vec::new());
    for chunk in chunks {
        buffer.push(chunk, &mut |message: &[u16]| out.push(message.to_vec()));
    }
    buffer.finish(&mut |message| out.push(message.to_vec()));
    out
}

fn compat_text(chunks: &[&str]) -> Vec<String> {
    let chunks: Vec<Vec<u16>> = chunks.iter().map(|chunk| chunk.encode_utf16().collect()).collect();
    compat16(&chunks).iter().map(|message| String::from_utf16(message).unwrap()).collect()
}

fn live(chunks: &[Vec<u8>]) -> Vec<String> {
    let (mut utf8, mut live, mut out) = (Utf8::new(), Live::new(), Vec::new());
    let mut deliver = |message| out.push(message);
    let mut text = String::new();
    for chunk in chunks {
        text.clear();
        utf8.push(chunk, &mut text);
        live.push(&text, &mut deliver);
    }
    text.clear();
    utf8.finish(&mut text);
    live.push(&text, &mut deliver);
    live.finish(&mut deliver);
    out
}

/// A piece of a native stream: an object, or text between objects. Swallowed line ends are in none.
#[derive(Debug, PartialEq)]
enum Piece {
    Object(String),
    Text(String),
}

/// What [`Live`] must make of a whole text, found by looking ahead without shame.
fn pieces(text: &str) -> Vec<Piece> {
    let units = text.as_bytes();
    let (mut at, mut from, mut out) = (0, 0, Vec::new());
    while at < units.len() {
        // At the start of a line or right behind an object.
        let start = at;
        while at < units.len() && matches!(units[at], b' ' | b'\t' | b'\r') {
            at += 1;
        }
        if units.get(at) == Some(&b'{') {
            let mut json = Json::new();
            let ended = (at..units.len()).find_map(|index| match json.unit(units[index]) {
                Verdict::More => None,
                verdict => Some((index, verdict)),
            });
            match ended {
                Some((index, Verdict::Complete)) => {
                    if from < start {
                        out.push(Piece::Text(text[from..start].to_owned()));
                    }
                    out.push(Piece::Object(text[start..=index].to_owned()));
                    at = index + 1;
                    if text[at..].starts_with("\r\n") {
                        at += 2;
                    } else if text[at..].starts_with('\n') {
                        at += 1;
                    }
                    from = at;
                    continue;
                }
                Some((index, _)) => at = index,
                None => at = units.len(),
            }
        }
        at = units[at..].iter().position(|&unit| unit == b'\n').map_or(units.len(), |feed| at + feed + 1);
    }
    if from < units.len() {
        out.push(Piece::Text(text[from..].to_owned()));
    }
    out
}

/// Whether `messages` are the pieces: objects whole, text in any number of messages, none across a border.
fn assert_pieces(messages: &[String], pieces: &[Piece]) {
    let mut messages = messages.iter();
    for piece in pieces {
        match piece {
            Piece::Object(object) => assert_eq!(messages.next(), Some(object)),
            Piece::Text(text) => {
                let mut got = String::new();
                while got.len() < text.len() {
                    let message = messages.next().expect("text is missing");
                    assert!(!message.is_empty());
                    got.push_str(message);
                }
                assert_eq!(&got, text);
            }
        }
    }
    assert_eq!(messages.next(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_become_the_text_they_are(bytes in prop::collection::vec(prop_oneof![any::<u8>(),
        prop::sample::select(vec![0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, 0x80, 0x41])], 0..40), cuts in cuts()) {
        let (mut utf8, mut text) = (Utf8::new(), String::new());
        for chunk in cut(&bytes, &cuts) {
            utf8.push(&chunk, &mut text);
        }
        utf8.finish(&mut text);
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn json_is_what_a_parser_takes(text in soup()) {
        let mut json = Json::new();
        let mut verdict = Verdict::More;
        for &unit in text.as_bytes() {
            verdict = json.unit(unit);
            if verdict == Verdict::Invalid { break; }
        }
        // A number at the top level is complete only when something follows.
        if verdict != Verdict::Invalid { verdict = json.unit(b' '); }
        prop_assert_eq!(verdict == Verdict::Complete, is_json(&text), "{:?}", text);
    }

    #[test]
    fn a_run_is_unit_after_unit(text in soup(), cuts in cuts()) {
        let (mut slow, mut fast) = (Json::new(), Json::new());
        'text: for chunk in cut(text.as_bytes(), &cuts) {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let (taken, verdict) = fast.run(rest);
                let until = taken + usize::from(verdict == Verdict::Invalid);
                let last = rest[..until].iter().map(|&unit| slow.unit(unit)).last();
                prop_assert_eq!(last.unwrap_or(Verdict::More), verdict);
                if verdict == Verdict::Invalid { break 'text; }
                rest = &rest[taken..];
            }
        }
    }

    #[test]
    fn compat_is_the_typescript_buffer_for_json(text in json_only(), cuts in cuts()) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let chunks = cut(&units, &cuts);
        let mut naive = Naive::default();
        chunks.iter().for_each(|chunk| naive.push(chunk));
        prop_assert_eq!(compat16(&chunks), naive.finish());
    }

    #[test]
    fn compat_is_the_typescript_buffer_for_text(text in "[^{}\"\\\\]{0,200}", cuts in cuts()) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let chunks = cut(&units, &cuts);
        let mut naive = Naive::default();
        chunks.iter().for_each(|chunk| naive.push(chunk));
        prop_assert_eq!(compat16(&chunks), naive.finish());
    }

    /// Everything the SDK delivered, in its order, and nothing that shows ink is lost or made up.
    #[test]
    fn compat_adds_to_the_typescript_buffer_and_loses_nothing(text in soup(), cuts in cuts()) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let chunks = cut(&units, &cuts);
        let mut naive = Naive::default();
        chunks.iter().for_each(|chunk| naive.push(chunk));
        let ours = compat16(&chunks);
        let mut rest = ours.iter();
        for message in naive.finish() {
            prop_assert!(rest.any(|ours| *ours == message), "lost {:?}", String::from_utf16_lossy(&message));
        }
        let got = String::from_utf16_lossy(&ours.concat());
        let ink = |text: &str| -> String {
            text.chars().filter(|&c| c != '\0' && !js_blank(&c.to_string())).collect()
        };
        prop_assert_eq!(ink(&got), ink(&text));
        prop_assert!(got.chars().count() <= text.chars().filter(|&c| c != '\0').count());
    }

    /// The rules as they are written down, judged by a whole parser.
    #[test]
    fn compat_does_what_its_rules_say(text in soup(), cuts in cuts()) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let chunks = cut(&units, &cuts);
        let mut rules = Rules::default();
        chunks.iter().for_each(|chunk| rules.push(chunk));
        prop_assert_eq!(compat16(&chunks), rules.finish());
    }

    /// Whoever has room for few messages at a time gets the same ones.
    #[test]
    fn a_cutter_that_is_short_of_room_loses_nothing(text in soup(), room in 1_usize..4) {
        let units: Vec<u16> = text.encode_utf16().filter(|&unit| unit != 0).collect();
        let (mut wide, mut narrow, mut bytes) = (Cutter::new(), Cutter::new(), Vec::new());
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        let cut = wide.push(&units, &mut bytes, usize::MAX, &mut wanted);
        let (mut taken, mut at) = (0, 0);
        while taken < units.len() {
            let mut few = Vec::new();
            let step = narrow.push(&units[taken..], &mut bytes, room, &mut few);
            prop_assert!(few.len() <= room + 1 && step.taken > 0);
            got.extend(few.iter().map(|&(from, to)| (from + at, to + at)));
            taken += step.taken;
            at += step.at;
        }
        prop_assert_eq!(got, wanted);
        prop_assert_eq!(at, cut.at);
    }

    #[test]
    fn live_gives_objects_whole_and_text_at_once(text in soup(), cuts in cuts()) {
        let chunks = cut(text.as_bytes(), &cuts);
        assert_pieces(&live(&chunks), &pieces(&text));
    }

    #[test]
    fn lines_do_not_depend_on_chunks(text in soup(), cuts in cuts()) {
        let chars: Vec<char> = text.chars().collect();
        let (mut lines, mut out) = (Lines::new(), Vec::new());
        for chunk in cut(&chars, &cuts) {
            lines.push(&String::from_iter(chunk), &mut |line| out.push(line.to_owned()));
        }
        lines.finish(&mut |line| out.push(line.to_owned()));
        let mut wanted: Vec<_> = text.split('\n').map(str::to_owned).collect();
        let last = wanted.pop().unwrap();
        for line in &mut wanted {
            if line.ends_with('\r') { line.pop(); }
        }
        if !last.is_empty() { wanted.push(last); }
        prop_assert_eq!(out, wanted);
    }
}

/// The table of the contract's section 9, with what is added to it.
#[test]
fn the_table() {
    let rows: &[(&[&str], &[&str])] = &[
        (&["{\"a\":1}{\"b\":2}"], &["{\"a\":1}", "{\"b\":2}"]),
        (&["{\"a\":1}\n{\"b\":2}\n"], &["{\"a\":1}", "{\"b\":2}"]),
        (&["{\"a\"", ":1", "}\n{\"b\":2}"], &["{\"a\":1}", "{\"b\":2}"]),
        (&["{\"a\":1}", "\n", "{\"b\":2}"], &["{\"a\":1}", "\n{\"b\":2}"]),
        (&["{\"a\":1}\r\n{\"b\":2}\r\n"], &["{\"a\":1}", "\r\n{\"b\":2}"]),
        (&["{\"a\":1}\n\n{\"b\":2}"], &["{\"a\":1}", "\n{\"b\":2}"]),
        (&["hello ", "world\n"], &["hello world\n"]),
        (&["hello\n{\"a\":1}\n"], &["hello\n", "{\"a\":1}"]),
        (&["{\"a\":1}\nplain\n{\"b\":2}\n"], &["{\"a\":1}", "plain\n", "{\"b\":2}"]),
        (&["function f() { return 1; }\nafter"], &["function f() { return 1; }\n", "after"]),
        (&["[{\"a\":1},{\"b\":2}]"], &["[", "{\"a\":1}", ",", "{\"b\":2}", "]"]),
        (&["} {\"a\":1}"], &["} {\"a\":1}"]),
        (&["say \"hi {\"a\":1} x"], &["say \"hi {\"a\":1} x"]),
        (&["{\"a\":1} tail"], &["{\"a\":1}", " tail"]),
        (&["{\"a\":1"], &["{\"a\":1"]),
        (&[" \n\t"], &[]),
    ];
    for (chunks, wanted) in rows {
        assert_eq!(compat_text(chunks), *wanted, "{chunks:?}");
    }
}

#[test]
fn halves_of_a_surrogate_pair_meet_again_and_lone_ones_survive() {
    let object: Vec<u16> = "{\"a\":\"\u{1f600}\"}".encode_utf16().collect();
    let half = object.iter().position(|unit| (0xD800..0xDC00).contains(unit)).unwrap() + 1;
    assert_eq!(compat16(&[object[..half].to_vec(), object[half..].to_vec()]), [object]);
    let lone = vec![u16::from(b'x'), 0xD83D];
    assert_eq!(compat16(std::slice::from_ref(&lone)), [lone]);
}

#[test]
fn depth_and_numbers_are_no_limit() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(compat_text(&[&deep]), std::slice::from_ref(&deep));
    assert_eq!(live(&[format!("{deep}\n").into_bytes()]), [deep]);
}

/// Text without braces in tiny chunks took the SDK quadratic time; 8 MB of it would take hours.
#[test]
fn tiny_chunks_take_linear_time() {
    let chunk: Vec<u16> = "a text of 20 units. ".encode_utf16().collect();
    let began = std::time::Instant::now();
    let mut buffer = Compat::new();
    for _ in 0..400_000 {
        buffer.push(&chunk, &mut |_: &[u16]| panic!("text is held"));
    }
    let mut held = 0;
    buffer.finish(&mut |message| held = message.len());
    assert_eq!(held, 8_000_000);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
