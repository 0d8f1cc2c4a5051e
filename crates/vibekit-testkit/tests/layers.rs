//! What the core may not depend on.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// The core does no I/O, and its dependencies are what keeps it so.
#[test]
fn the_core_depends_on_no_runtime_no_socket_and_no_engine() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "vibekit-core", "-e", "normal", "--prefix", "none", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.first(), Some(&"vibekit-core"));
    // Named one by one, so that whatever is added is added here too, on purpose.
    let known = [
        "vibekit-core",
        "serde",
        "serde_core",
        "serde_derive",
        "serde_json",
        "itoa",
        "memchr",
        "zmij",
        "indexmap",
        "equivalent",
        "hashbrown",
        "foldhash",
        "allocator-api2",
        "proc-macro2",
        "quote",
        "syn",
        "unicode-ident",
    ];
    for name in names {
        assert!(known.contains(&name), "vibekit-core depends on {name}:\n{tree}");
    }
}
