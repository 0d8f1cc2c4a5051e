//! Builds the init process of the sandbox and hands its path to `include_bytes!`.
//!
//! The helper is a program of its own with its own flags (static, not position-independent: it starts three times as
//! fast and every idle session keeps one in memory), which cargo cannot express as a dependency. So cargo is run
//! once more, into a target directory of its own because the outer run holds the lock of the usual one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const OVERRIDE: &str = "VIBEKIT_SANDBOXD";

fn main() {
    println!("cargo:rerun-if-env-changed={OVERRIDE}");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    let helper = match env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => build(),
    };
    println!("cargo:rerun-if-changed={}", helper.display());
    println!("cargo:rustc-env=VIBEKIT_SANDBOXD_FILE={}", helper.display());
}

fn build() -> PathBuf {
    let crates = Path::new(&variable("CARGO_MANIFEST_DIR")).join("..");
    for name in ["vibekit-sandboxd", "vibekit-sandboxd-wire"] {
        for part in ["src", "Cargo.toml"] {
            println!("cargo:rerun-if-changed={}", crates.join(name).join(part).display());
        }
    }
    let target = variable("TARGET");
    let directory = Path::new(&variable("OUT_DIR")).join("sandboxd");
    let status = Command::new(variable("CARGO"))
        .current_dir(&crates)
        .args(["build", "--release", "--package", "vibekit-sandboxd", "--target", &target, "--target-dir"])
        .arg(&directory)
        // The outer run's flags and wrappers (coverage, clippy) are not meant for this program.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        // Link-time optimisation costs minutes and gains nothing measurable in a program that mostly waits.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status();
    match status {
        Ok(status) if status.success() => directory.join(target).join("release/vibekit-sandboxd"),
        other => panic!("building vibekit-sandboxd failed ({other:?}); {OVERRIDE} may name a prebuilt one"),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
