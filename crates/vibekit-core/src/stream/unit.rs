//! UTF-8 bytes and UTF-16 units, as far as finding messages in them needs to tell them apart.

/// One code unit. All characters the scanners act on are ASCII, so one unit is enough to recognise them.
pub trait Unit: Copy + Eq + 'static {
    /// The unit if it is ASCII; `0xFF` otherwise (which is no character in either encoding's meaning here).
    fn ascii(self) -> u8;
    /// Whether a scan of the inside of a JSON string has to stop here: quote, backslash, control character.
    fn stops_string(self) -> bool;
    /// Whether the text is blank as JavaScript's `String.prototype.trim` sees it.
    fn is_blank(text: &[Self]) -> bool;
}

impl Unit for u8 {
    fn ascii(self) -> u8 {
        if self < 0x80 { self } else { 0xFF }
    }

    fn stops_string(self) -> bool {
        // No short cut: the test of many units at once must not branch.
        (self == 0x22) | (self == 0x5C) | (self < 0x20)
    }

    fn is_blank(text: &[Self]) -> bool {
        // The scanners only ever cut at ASCII, so a text in bytes is whole UTF-8.
        std::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_js_space))
    }
}

impl Unit for u16 {
    fn ascii(self) -> u8 {
        if self < 0x80 { self as u8 } else { 0xFF }
    }

    fn stops_string(self) -> bool {
        (self == 0x22) | (self == 0x5C) | (self < 0x20)
    }

    fn is_blank(text: &[Self]) -> bool {
        char::decode_utf16(text.iter().copied()).all(|unit| unit.is_ok_and(is_js_space))
    }
}

/// White space and line terminators of ECMAScript. Differs from Unicode's `White_Space` in U+0085 (not blank) and
/// U+FEFF (blank).
fn is_js_space(c: char) -> bool {
    matches!(c, '\u{FEFF}') || (c.is_whitespace() && c != '\u{85}')
}
