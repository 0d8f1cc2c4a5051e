//! SOCKS version 5 (RFC 1928): no authentication, `CONNECT` only.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::host::Host;

/// Longest message of a client: a request for a name of 255 bytes.
pub const MAX_MESSAGE: usize = 4 + 1 + 255 + 2;
const VERSION: u8 = 5;

/// Answer to a greeting that offers to go without authentication.
pub const NO_AUTHENTICATION: [u8; 2] = [VERSION, 0];
/// Answer to a greeting that does not.
pub const NO_ACCEPTABLE_METHOD: [u8; 2] = [VERSION, 0xff];

/// Result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Connected.
    Succeeded = 0,
    /// The policy says no.
    NotAllowed = 2,
    /// The name has no address, or no connection came about.
    HostUnreachable = 4,
    /// Another command than `CONNECT`.
    CommandNotSupported = 7,
    /// Another kind of address than IPv4, IPv6 and names.
    AddressTypeNotSupported = 8,
}

impl Reply {
    /// The message. The address in it is of no use to a client of `CONNECT`, so it is all zeros.
    #[must_use]
    pub fn message(self) -> [u8; 10] {
        [VERSION, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

/// Why bytes are no acceptable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksError {
    /// Not SOCKS 5; there is nothing to answer.
    NotSocks,
    /// Answer with this and close.
    Reply(Reply),
}

/// Reads the greeting: whether it offers to go without authentication, and its length. `Ok(None)`: more bytes are
/// needed.
///
/// # Errors
///
/// When it is another version.
pub fn greeting(bytes: &[u8]) -> Result<Option<(bool, usize)>, SocksError> {
    match *bytes {
        [] => Ok(None),
        [version, ..] if version != VERSION => Err(SocksError::NotSocks),
        [_, 0, ..] => Err(SocksError::NotSocks),
        [_, count, ref methods @ ..] => {
            Ok(methods.get(..count.into()).map(|methods| (methods.contains(&0), 2 + methods.len())))
        }
        [_] => Ok(None),
    }
}

/// A request: whom, on which port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whom to connect to; `Err` holds the name as it was given when it is not one.
    pub host: Result<Host, Vec<u8>>,
    /// On which port.
    pub port: u16,
}

/// Reads the request and its length. `Ok(None)`: more bytes are needed.
///
/// # Errors
///
/// When it asks for something else than a connection.
pub fn request(bytes: &[u8]) -> Result<Option<(Request, usize)>, SocksError> {
    if bytes.first().is_some_and(|&version| version != VERSION) {
        return Err(SocksError::NotSocks);
    }
    let &[_, command, _, kind, ref rest @ ..] = bytes else { return Ok(None) };
    if command != 1 {
        return Err(SocksError::Reply(Reply::CommandNotSupported));
    }
    let (host, rest) = match kind {
        1 => match rest.split_first_chunk::<4>() {
            Some((ip, rest)) => (Ok(Host::Ip(Ipv4Addr::from(*ip).into())), rest),
            None => return Ok(None),
        },
        4 => match rest.split_first_chunk::<16>() {
            Some((ip, rest)) => {
                (Ok(Host::Ip(std::net::IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical())), rest)
            }
            None => return Ok(None),
        },
        3 => match rest.split_first().and_then(|(&length, rest)| rest.split_at_checked(length.into())) {
            Some((name, rest)) => (Host::from_bytes(name).map_err(|_| name.to_vec()), rest),
            None => return Ok(None),
        },
        _ => return Err(SocksError::Reply(Reply::AddressTypeNotSupported)),
    };
    let Some((port, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let port = u16::from_be_bytes(*port);
    Ok(Some((Request { host, port }, bytes.len() - rest.len())))
}

/// Requests for tests.
#[cfg(test)]
pub(crate) fn ask(name: &[u8], port: u16) -> Vec<u8> {
    [&[5, 1, 0, 3, u8::try_from(name.len()).unwrap_or(0)], name, &port.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn greetings() {
        assert_eq!(greeting(b"\x05\x01\x00"), Ok(Some((true, 3))));
        assert_eq!(greeting(b"\x05\x02\x02\x00more"), Ok(Some((true, 4))));
        assert_eq!(greeting(b"\x05\x01\x02"), Ok(Some((false, 3))));
        for part in [&b""[..], b"\x05", b"\x05\x02\x00"] {
            assert_eq!(greeting(part), Ok(None));
        }
        for other in [&b"\x04\x01"[..], b"GET ", b"\x05\x00"] {
            assert_eq!(greeting(other), Err(SocksError::NotSocks));
        }
    }

    #[test]
    fn requests() {
        let host = |bytes: &[u8]| {
            request(bytes).map(|found| found.map(|(found, length)| (found.host, found.port, length)))
        };
        let name = ask(b"Allowed.com", 443);
        assert_eq!(host(&name), Ok(Some((Ok(Host::parse("allowed.com").unwrap()), 443, name.len()))));
        for end in 0..name.len() {
            assert_eq!(host(&name[..end]), Ok(None));
        }
        let longer = [&name[..], b"tail"].concat();
        assert_eq!(host(&longer).unwrap().unwrap().2, name.len());
        assert_eq!(
            host(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"),
            Ok(Some((Ok(Host::Ip([127, 0, 0, 1].into())), 80, 10)))
        );
        let mapped = [&b"\x05\x01\x00\x04"[..], &[0; 10], b"\xff\xff\x7f\x00\x00\x01\x00\x50"].concat();
        assert_eq!(host(&mapped), Ok(Some((Ok(Host::Ip([127, 0, 0, 1].into())), 80, 22))));
        // An address in letters is an address; a name that hides something is none.
        assert_eq!(host(&ask(b"127.0.0.1", 80)).unwrap().unwrap().0, Ok(Host::Ip([127, 0, 0, 1].into())));
        for bad in [
            &b"evil\0.allowed.com"[..],
            b"0x7f.1",
            b"2130706433",
            b"allowed.com@evil",
            b"",
            b"a.com:443",
            b"\xff",
        ] {
            assert_eq!(host(&ask(bad, 80)).unwrap().unwrap().0, Err(bad.to_vec()), "{bad:?}");
        }
        assert_eq!(host(b"\x05\x02\x00\x01"), Err(SocksError::Reply(Reply::CommandNotSupported)));
        assert_eq!(host(b"\x05\x01\x00\x02"), Err(SocksError::Reply(Reply::AddressTypeNotSupported)));
        assert_eq!(host(b"\x04"), Err(SocksError::NotSocks));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = greeting(&bytes);
            let _ = request(&bytes);
        }

        #[test]
        fn lengths_stay_within(mut bytes in proptest::collection::vec(any::<u8>(), 5..300), kind in 1u8..5) {
            bytes[..4].copy_from_slice(&[5, 1, 0, kind]);
            if let Ok(Some((_, length))) = request(&bytes) {
                prop_assert!(length <= bytes.len().min(MAX_MESSAGE));
            }
            if bytes.len() >= MAX_MESSAGE {
                prop_assert_ne!(request(&bytes), Ok(None));
            }
        }
    }
}
