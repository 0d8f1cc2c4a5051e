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

/// Position of the first unit inside a JSON string that needs a decision: quote, backslash, control character. Most strings
/// are short, so the beginning is tested eight bytes at a time.
pub(crate) fn string_end(units: &[u8]) -> usize {
    const SHORT: usize = 32;
    let mut at = 0;
    while at < SHORT {
        let Some(word) = units.get(at..at + 8) else {
            return at + units[at..].iter().position(|&unit| ends_string(unit)).unwrap_or(units.len() - at);
        };
        if let Some(found) = string_end_in(word) {
            return at + found;
        }
        at += 8;
    }
    for block in units[at..].chunks_exact(BLOCK) {
        if any(block, ends_string) {
            break;
        }
        at += BLOCK;
    }
    for word in units[at..].chunks_exact(8) {
        if let Some(found) = string_end_in(word) {
            return at + found;
        }
        at += 8;
    }
    at + units[at..].iter().position(|&unit| ends_string(unit)).unwrap_or(units.len() - at)
}

/// The same in exactly eight bytes: the lowest byte that is less than 0x20, or zero once it is compared with a character.
/// Borrows can only mark bytes above one that is rightly marked.
fn string_end_in(word: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word.try_into().ok()?);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let equals = |unit: u8| below(word ^ (ONES * u64::from(unit)), 1);
    let marks = below(word, 0x20) | equals(b'"') | equals(b'\\');
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

fn ends_string(unit: u8) -> bool {
    // No short cut: the test of many units at once must not branch.
    (unit == b'"') | (unit == b'\\') | (unit < 0x20)
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
    fn finds_the_ends_of_strings_among_all_other_bytes() {
        for end in 0..=u8::MAX {
            for length in 0..3 * BLOCK {
                let mut units: Vec<u8> =
                    (0..length).map(|at| [0x80, b'#', b'!', 0xFF, b'x'][at % 5]).collect();
                assert_eq!(string_end(&units), length);
                if let Some(last) = units.last_mut() {
                    *last = end;
                    let found = if ends_string(end) { length - 1 } else { length };
                    assert_eq!(string_end(&units), found, "{end} in {length}");
                }
            }
        }
    }

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
