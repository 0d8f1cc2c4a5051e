//! The program that attacks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where it is, for a test started again.
pub(crate) const VARIABLE: &str = "VIBEKIT_ABUSE_ATTACK";

/// Builds the program once per process, static so that it runs wherever it is put, and gives its path.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attack");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../vibekit-attack/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        // Naming the target keeps the flags away from build scripts.
        .args([
            "build",
            "--quiet",
            "--offline",
            "--manifest-path",
            manifest,
            "--target",
            &target,
            "--target-dir",
        ])
        .arg(&directory)
        // The outer run's flags and wrappers are not meant for this program.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static\u{1f}-Cstrip=symbols",
        )
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory.join(&target).join("debug/vibekit-attack")
}

/// A copy where everybody can reach it, for as long as it is held.
pub(crate) fn lent() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::Builder::new().prefix("attack-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("attack");
    std::fs::copy(path(), &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    (directory, copy)
}
