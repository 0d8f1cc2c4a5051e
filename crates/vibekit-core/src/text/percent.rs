/// One part of a URL's path: everything but unreserved characters (RFC 3986, 2.3) as `%XX` of its UTF-8.
#[must_use]
pub fn percent(part: &str) -> String {
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // A part of dots alone would lead elsewhere.
    if matches!(encoded.as_str(), "." | "..") { encoded.replace('.', "%2E") } else { encoded }
}
