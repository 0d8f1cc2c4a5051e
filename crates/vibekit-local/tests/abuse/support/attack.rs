//! The program that attacks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where it is, for a test started again.
pub(crate) const VARIABLE: &str = "VIBEKIT_ABUSE_ATTACK";

/// Builds the program once per process, static so that it runs wherever it is put, and gives its path, which everybody
/// can read.
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
    let built = directory.join(&target).join("debug/vibekit-attack");
    readable(&built)
}

/// A copy outside of directories that only their owner may enter.
fn readable(built: &Path) -> PathBuf {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let of = std::fs::metadata(built).unwrap();
    let name = format!("vibekit-attack-{}-{:x}-{:x}", super::host::uid(), of.ino(), of.mtime_nsec());
    let copy = std::env::temp_dir().join(name);
    if !copy.exists() {
        // Renamed into place: another test may be doing the same.
        let draft = copy.with_extension(std::process::id().to_string());
        std::fs::copy(built, &draft).unwrap();
        std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&draft, &copy).unwrap();
    }
    copy
}
