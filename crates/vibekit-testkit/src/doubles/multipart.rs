//! `multipart/form-data` (RFC 7578), as far as clients of the doubles write it.

/// The parts of a body: name and content.
pub(crate) fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Some(boundary) = content_type.split("boundary=").nth(1) else { return Vec::new() };
    let boundary = format!("--{}", boundary.split(';').next().unwrap_or_default().trim_matches('"'));
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some(at) = find(rest, boundary.as_bytes()) {
        rest = &rest[at + boundary.len()..];
        if rest.starts_with(b"--") {
            break;
        }
        let (Some(head_end), Some(next)) =
            (find(rest, b"\r\n\r\n"), find(rest, format!("\r\n{boundary}").as_bytes()))
        else {
            break;
        };
        let head = String::from_utf8_lossy(&rest[..head_end]);
        let name = head.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        parts.push((name.to_owned(), rest.get(head_end + 4..next).unwrap_or_default().to_vec()));
        rest = &rest[next + 2..];
    }
    parts
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_byte_for_byte() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\n\
                     Content-Disposition: form-data; name=\"b\"; filename=\"f\"\r\nContent-Type: x\r\n\r\n\0\r\n\xff\r\n--X--\r\n";
        let expected = vec![("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"\0\r\n\xff".to_vec())];
        assert_eq!(parts("multipart/form-data; boundary=X", body), expected);
    }
}
