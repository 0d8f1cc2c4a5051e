//! The server name of a TLS hello (RFC 8446 section 4.1.2, RFC 6066 section 3), read without taking part in TLS.

use crate::host::Name;

/// Longest hello looked at. Ordinary ones have 300 to 2000 bytes; session tickets and post-quantum keys make some
/// longer.
const MAX_HELLO: usize = 32 * 1024;
/// Most records a hello may be spread over. Ordinary ones have one.
const MAX_RECORDS: usize = 32;
/// Never more bytes than these are needed.
pub const MAX_BYTES: usize = MAX_HELLO + MAX_RECORDS * RECORD_HEADER;

const RECORD_HEADER: usize = 5;
const CONTENT_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
/// Encrypted client hello, and the draft before it that encrypted the name alone.
const EXTENSIONS_ENCRYPTED: [u16; 2] = [0xfe0d, 0xffce];

/// `access_denied` (49), fatal: what a client gets whose connection is refused.
pub const ALERT_ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
/// `internal_error` (80), fatal: what a client gets whose connection is permitted and could not be made.
pub const ALERT_INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// A complete hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The one server name, if the hello has one.
    pub server_name: Option<Name>,
    /// True when the hello offers to hide the real name in an encrypted part.
    pub encrypted: bool,
}

/// Why bytes are no hello one can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// Something else than TLS, or TLS that does not begin with a hello.
    NotTls,
    /// A hello that is not well formed, or says something twice.
    Malformed,
    /// Longer than 32 KiB, or in too many pieces.
    TooLong,
    /// The server name is not a host name.
    ServerName,
}

/// Reads the hello at the start of `bytes`. `Ok(None)`: more bytes are needed.
///
/// # Errors
///
/// As soon as the bytes cannot become an acceptable hello.
pub fn parse(bytes: &[u8]) -> Result<Option<Hello>, HelloError> {
    let mut message = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        match rest.first() {
            None => return Ok(None),
            Some(&CONTENT_HANDSHAKE) => {}
            Some(_) => return Err(HelloError::NotTls),
        }
        if rest.get(1).is_some_and(|&major| major != 3) {
            return Err(HelloError::NotTls);
        }
        let Some((header, after)) = rest.split_at_checked(RECORD_HEADER) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > 1 << 14 {
            return Err(HelloError::Malformed);
        }
        let fragment = &after[..length.min(after.len())];
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
            return Err(HelloError::NotTls);
        }
        if let Some(&[_, high, mid, low]) = message.first_chunk() {
            let total = 4 + usize::try_from(u32::from_be_bytes([0, high, mid, low])).unwrap_or(usize::MAX);
            if total > MAX_HELLO {
                return Err(HelloError::TooLong);
            }
            if message.len() > total {
                return Err(HelloError::Malformed);
            }
            if message.len() == total {
                // The last record has to end with the message, even if its tail is not here yet.
                return if fragment.len() == length {
                    hello(&message[4..]).map(Some)
                } else {
                    Err(HelloError::Malformed)
                };
            }
        }
        if fragment.len() < length {
            return Ok(None);
        }
        rest = &after[length..];
    }
    Err(HelloError::TooLong)
}

fn hello(body: &[u8]) -> Result<Hello, HelloError> {
    let mut body = Reader(body);
    body.take(2 + 32)?; // legacy_version, random
    body.vector8()?; // legacy_session_id
    body.vector16()?; // cipher_suites
    body.vector8()?; // legacy_compression_methods
    let mut found = Hello { server_name: None, encrypted: false };
    if body.0.is_empty() {
        return Ok(found);
    }
    let mut extensions = Reader(body.vector16()?);
    if !body.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        if kind == EXTENSION_SERVER_NAME && found.server_name.replace(server_name(data)?).is_some() {
            return Err(HelloError::Malformed);
        }
        found.encrypted |= EXTENSIONS_ENCRYPTED.contains(&kind);
    }
    Ok(found)
}

fn server_name(data: &[u8]) -> Result<Name, HelloError> {
    let mut data = Reader(data);
    let mut list = Reader(data.vector16()?);
    // The only kind there is (host_name), once: a second entry would be for whoever reads the other one.
    if list.take(1)? != [0] {
        return Err(HelloError::Malformed);
    }
    let name = list.vector16()?;
    if !list.0.is_empty() || !data.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    if !name.is_ascii() {
        return Err(HelloError::ServerName);
    }
    Name::from_bytes(name).map_err(|_| HelloError::ServerName)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, HelloError> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn vector16(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// Hellos for tests.
#[cfg(test)]
pub(crate) mod build {
    pub(crate) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes(), &length(data)[..], data].concat()
    }

    pub(crate) fn server_name(name: &[u8]) -> Vec<u8> {
        let entry = [&[0], &length(name)[..], name].concat();
        extension(0, &[&length(&entry)[..], &entry].concat())
    }

    /// The handshake message, without records.
    pub(crate) fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let extensions = extensions.concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(length(&extensions));
        body.extend(extensions);
        let [_, a, b, c] = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        [&[1, a, b, c][..], &body].concat()
    }

    pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
        message.chunks(size).flat_map(|piece| [&[22, 3, 1], &length(piece)[..], piece].concat()).collect()
    }

    pub(crate) fn hello(name: &str) -> Vec<u8> {
        records(&message(&[extension(43, &[2, 3, 4]), server_name(name.as_bytes())]), 1 << 14)
    }

    fn length(data: &[u8]) -> [u8; 2] {
        u16::try_from(data.len()).unwrap_or(0).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn name(bytes: &[u8]) -> Result<Option<String>, HelloError> {
        parse(bytes).map(|hello| hello.unwrap().server_name.map(|name| name.to_string()))
    }

    #[test]
    fn the_name_is_found() {
        assert_eq!(name(&build::hello("Allowed.COM")), Ok(Some("allowed.com".into())));
        assert_eq!(name(&build::records(&build::message(&[]), 999)), Ok(None));
        // Old clients have no extensions at all.
        let bare = [&[1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0, 47, 1, 0]].concat();
        assert_eq!(name(&build::records(&bare, 999)), Ok(None));
    }

    #[test]
    fn every_prefix_waits_and_bytes_after_do_not_matter() {
        let hello = build::hello("allowed.com");
        for end in 0..hello.len() {
            assert_eq!(parse(&hello[..end]), Ok(None), "{end}");
        }
        let more = [&hello[..], b"\x14\x03\x03\x00\x01\x01"].concat();
        assert_eq!(name(&more), Ok(Some("allowed.com".into())));
    }

    #[test]
    fn a_hello_may_be_spread_over_records() {
        let message = build::message(&[build::server_name(b"allowed.com")]);
        assert_eq!(name(&build::records(&message, 10)), Ok(Some("allowed.com".into())));
        assert_eq!(name(&build::records(&message, 1)), Err(HelloError::TooLong));
    }

    #[test]
    fn a_huge_hello_is_refused() {
        let padding = build::extension(21, &vec![0; 40_000]);
        let hello = build::records(&build::message(&[padding, build::server_name(b"allowed.com")]), 1 << 14);
        assert_eq!(parse(&hello), Err(HelloError::TooLong));
        // Before it has been sent.
        assert_eq!(parse(&hello[..9]), Err(HelloError::TooLong));
        let fits = build::extension(21, &vec![0; 20_000]);
        let hello = build::records(&build::message(&[fits, build::server_name(b"allowed.com")]), 1 << 14);
        assert_eq!(name(&hello), Ok(Some("allowed.com".into())));
    }

    #[test]
    fn two_readings_are_refused() {
        let good = build::server_name(b"allowed.com");
        let evil = build::server_name(b"evil.test");
        let parse = |extensions: &[Vec<u8>]| parse(&build::records(&build::message(extensions), 1 << 14));
        assert_eq!(parse(&[good.clone(), evil]), Err(HelloError::Malformed));
        let two = build::extension(0, b"\x00\x0c\x00\x00\x03a.b\x00\x00\x03c.d");
        assert_eq!(parse(&[two]), Err(HelloError::Malformed));
        assert_eq!(parse(&[build::extension(0, b"")]), Err(HelloError::Malformed));
        for bad in
            [&b"a\0.allowed.com"[..], b"127.0.0.1", b"", b"allowed.com:443", "bücher.example".as_bytes()]
        {
            assert_eq!(parse(&[build::server_name(bad)]), Err(HelloError::ServerName), "{bad:?}");
        }
        for kind in EXTENSIONS_ENCRYPTED {
            assert!(parse(&[good.clone(), build::extension(kind, &[0; 40])]).unwrap().unwrap().encrypted);
        }
        let long = [build::message(&[good]), vec![1]].concat();
        assert_eq!(super::parse(&build::records(&long, 1 << 14)), Err(HelloError::Malformed));
    }

    #[test]
    fn other_protocols_are_refused_at_once() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"SSH-2.0",
            b"\x15",
            b"\x16\x02",
            b"\x16\x03\x01\x00\x05\x02",
            b"\x80\x2e\x01",
        ] {
            assert_eq!(parse(bytes), Err(HelloError::NotTls), "{bytes:?}");
        }
        assert_eq!(parse(b"\x16\x03\x01\x00\x00"), Err(HelloError::Malformed));
        assert_eq!(parse(b"\x16\x03\x01\xff\xff"), Err(HelloError::Malformed));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_panics_or_changes_the_answer_later(at in 0usize..90, value in any::<u8>(), size in 1usize..60) {
            let message = build::message(&[build::server_name(b"allowed.com"), build::extension(16, b"abc")]);
            let mut hello = build::records(&message, size);
            let at = at % hello.len();
            hello[at] = value;
            let whole = parse(&hello);
            // What is decided on a part stays decided.
            for end in 0..hello.len() {
                match parse(&hello[..end]) {
                    Ok(None) => {}
                    Ok(early) => prop_assert_eq!(&Ok(early), &whole),
                    Err(_) => prop_assert!(whole.is_err()),
                }
            }
        }
    }
}
