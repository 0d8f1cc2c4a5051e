//! Finding the next unit that matters.

/// Units tested together. A block is tested as a whole, without an early end, which compilers turn into vector code.
const BLOCK: usize = 32;

/// Position of the first unit for which `hit` holds; the length if there is none.
pub(super) fn first<U: Copy>(units: &[U], hit: impl Fn(U) -> bool) -> usize {
    let mut at = 0;
    for block in units.chunks_exact(BLOCK) {
        if any(block, &hit) {
            break;
        }
        at += BLOCK;
    }
    let rest = &units[at..];
    at + rest.iter().position(|&unit| hit(unit)).unwrap_or(rest.len())
}

/// Whether `hit` holds for one of them.
pub(super) fn any<U: Copy>(units: &[U], hit: impl Fn(U) -> bool) -> bool {
    units.iter().fold(false, |any, &unit| any | hit(unit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn finds_what_a_plain_search_finds() {
        for length in 0..3 * BLOCK {
            let mut units = vec![b'x'; length];
            assert_eq!(first(&units, |unit| unit == b'"'), length);
            assert!(!any(&units, |unit| unit == b'"'));
            for at in (0..length).rev() {
                units[at] = b'"';
                assert_eq!(first(&units, |unit| unit == b'"'), at);
                assert!(any(&units, |unit| unit == b'"'));
            }
        }
    }
}
