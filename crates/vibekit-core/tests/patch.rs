//! Diffs on their way to a model: never longer than allowed, never with a secret, and untouched where there is no reason.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use vibekit_core::git::looks_secret;
use vibekit_core::git::patch::digest;

const KEY: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

fn hunk(line: &str) -> String {
    format!("@@ -1,1 +1,1 @@\n-old\n+{line}\n")
}

fn head(name: &str) -> String {
    format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n")
}

#[test]
fn a_hunk_with_a_secret_goes_and_its_neighbours_stay() {
    let patch =
        head("a.rs") + &hunk("let x = 1;") + &hunk(&format!("let key = \"{KEY}\";")) + &hunk("let y = 2;");
    let told = digest(&patch, &[], 10_000);
    assert_eq!(
        told,
        head("a.rs") + &hunk("let x = 1;") + "[left out: looks like a secret]\n" + &hunk("let y = 2;")
    );
    // One that only the user knows for a secret.
    let patch = head("a.rs") + &hunk("the word is swordfish9");
    assert!(!digest(&patch, &["swordfish9".to_owned()], 10_000).contains("swordfish9"));
}

#[test]
fn small_files_are_whole_and_large_ones_are_cut() {
    let large =
        head("large.txt") + &(0..200).map(|number| hunk(&format!("line {number}"))).collect::<String>();
    let patch = large.clone() + &head("small.txt") + &hunk("small");
    let told = digest(&patch, &[], 2_000);
    assert!(told.len() <= 2_000);
    assert!(told.contains(&hunk("small")) && told.contains(&hunk("line 0")));
    assert!(told.contains("+++ b/large.txt") && told.contains("[left out: too long]"));
    assert!(!told.contains("line 199"));
}

/// Lines of all sorts, none of which is a secret.
fn line() -> impl Strategy<Value = String> {
    "[ a-zé\u{1f600}{}@+]{0,60}"
        .prop_filter("nothing suspicious", |line| !looks_secret(line) && !line.starts_with("@@"))
}

fn patches() -> impl Strategy<Value = String> {
    let hunks = prop::collection::vec(line(), 0..8);
    let file = ("[a-z]{1,8}\\.(rs|txt)", hunks)
        .prop_map(|(name, lines)| head(&name) + &lines.iter().map(|line| hunk(line)).collect::<String>());
    prop::collection::vec(file, 0..8).prop_map(|files| files.concat())
}

proptest! {
    #[test]
    fn what_is_short_and_harmless_is_not_touched(patch in patches()) {
        prop_assert_eq!(digest(&patch, &[], patch.len()), patch);
    }

    #[test]
    fn nothing_is_longer_than_allowed(patch in patches(), limit in 0usize..3_000) {
        prop_assert!(digest(&patch, &[], limit).len() <= limit);
    }

    #[test]
    fn any_text_at_all_is_survived(text in any::<String>(), limit in 0usize..500) {
        prop_assert!(digest(&text, &[], limit).len() <= limit);
    }

    #[test]
    fn a_secret_never_gets_through(
        before in patches(),
        after in patches(),
        around in "[ a-z=:\"']{0,20}",
        limit in 0usize..4_000,
    ) {
        let patch = format!("{before}{}{}{after}", head("file.txt"), hunk(&format!("{around} {KEY} {around}")));
        prop_assert!(!digest(&patch, &[], limit).contains(KEY));
    }

    #[test]
    fn a_second_time_changes_nothing(patch in patches(), limit in 200usize..3_000) {
        let once = digest(&patch, &[], limit);
        prop_assert_eq!(digest(&once, &[], limit), once);
    }
}
