//! Names that nobody else has.

use std::hash::{BuildHasher, RandomState};

/// 32 hexadecimal digits. They have to differ, not to be secret.
pub(super) fn unique() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // No source of randomness: the standard library's hashers differ all the same.
        let part = || RandomState::new().hash_one(std::process::id());
        return format!("{:016x}{:016x}", part(), part());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
