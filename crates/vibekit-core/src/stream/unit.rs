//! UTF-8 bytes and UTF-16 units, as far as finding messages in them needs to tell them apart.

/// Whether the text is blank as JavaScript's `String.prototype.trim` sees it.
pub(super) fn is_blank(text: &[u16]) -> bool {
    char::decode_utf16(text.iter().copied()).all(|unit| unit.is_ok_and(is_js_space))
}

/// White space and line terminators of ECMAScript. Differs from Unicode's `White_Space` in U+0085 (not blank) and
/// U+FEFF (blank).
pub(super) fn is_js_space(c: char) -> bool {
    matches!(c, '\u{FEFF}') || (c.is_whitespace() && c != '\u{85}')
}
