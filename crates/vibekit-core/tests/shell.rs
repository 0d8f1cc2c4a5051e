//! Quoting against the shells that read it. Both must be installed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use proptest::prelude::*;
use vibekit_core::text::{base64, is_plain, quote};

/// Any text but NUL, rich in what shells care about.
fn word() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "'", "\"", "\\", "$", "`", "!", "\n", "\r", "\t", " ", "$(id)", "${HOME}", "\\n", "-n", "--", "*",
        "?", "~", "#", "&", "|", ";", "<", ">", "(", ")", "{", "}", "[", "]", "=", "%", "^", "\u{1b}",
        "\u{e9}", "a",
    ]);
    prop_oneof![
        prop::collection::vec(special, 0..12).prop_map(|parts| parts.concat()),
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

fn argv(shell: &str, words: &[String]) -> Vec<String> {
    let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
    let line = format!("printf '%s\\0' {}", quoted.join(" "));
    let output = Command::new(shell)
        .args(["-c", &line])
        .output()
        .unwrap_or_else(|error| panic!("{shell} is needed for this test: {error}"));
    assert!(output.status.success(), "{shell}: {line:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_arrive_byte_for_byte(words in prop::collection::vec(word(), 1..20)) {
        for shell in ["bash", "dash"] {
            prop_assert_eq!(&argv(shell, &words), &words, "{}", shell);
        }
    }
}

#[test]
fn plain_words_stay_as_they_are() {
    for word in ["main", "feature/x-1", "/vibe0", "a.b_c@d:e+f=g,h"] {
        assert!(is_plain(word));
        assert_eq!(quote(word), word);
    }
    for (word, quoted) in [("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("\u{e9}", "'\u{e9}'")] {
        assert_eq!(quote(word), quoted);
    }
}

/// The test vectors of RFC 4648.
#[test]
fn base64_is_base64() {
    let vectors = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];
    for (text, encoded) in vectors {
        assert_eq!(base64(text.as_bytes()), encoded);
    }
}
