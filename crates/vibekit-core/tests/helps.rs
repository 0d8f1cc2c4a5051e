//! What the real programs say of themselves (`helps/`: the output of `--help`, of `exec --help` and `run --help` where that is
//! what we run).

#![allow(clippy::unwrap_used, missing_docs)]

use vibekit_core::agents::{AgentKind, optional_flags, unlisted_flags};

fn help(kind: AgentKind) -> String {
    let path = format!("{}/tests/helps/{kind}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_programs_of_today_know_all_our_flags() {
    for kind in AgentKind::ALL {
        assert!(!optional_flags(kind).is_empty());
        assert_eq!(unlisted_flags(kind, &help(kind)), [""; 0], "{kind}");
    }
}

#[test]
fn a_flag_that_is_gone_is_noticed() {
    for kind in AgentKind::ALL {
        for flag in optional_flags(kind) {
            // Longer flags that begin alike are others.
            let without = help(kind).replace(flag, &format!("{flag}-anew"));
            assert_eq!(unlisted_flags(kind, &without), [*flag], "{kind}");
        }
    }
}

#[test]
fn what_is_no_help_says_nothing() {
    for text in ["", "error: unknown command\n", "Please log in first."] {
        assert_eq!(unlisted_flags(AgentKind::Claude, text), [""; 0], "{text:?}");
    }
}
