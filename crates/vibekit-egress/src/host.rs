//! Host names and authorities in one canonical spelling.
//!
//! Every name that enters the crate (rule, proxy request, TLS hello, HTTP head, lookup) passes through here, and only
//! canonical values are compared. Whatever has a second meaning somewhere else is refused instead of repaired: a NUL
//! ends a name early for a C resolver, `0x7f.1` and `2130706433` are addresses for it, `user@host` moves the host.

use std::borrow::Borrow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest name in its ASCII form, without the trailing dot (RFC 1035).
pub const MAX_NAME: usize = 253;
/// Longest label in its ASCII form (RFC 1035).
pub const MAX_LABEL: usize = 63;
/// Longest text looked at. A Unicode name may be longer than its ASCII form, but not without bound.
const MAX_INPUT: usize = 4 * MAX_NAME;

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing there.
    Empty,
    /// A NUL byte.
    Nul,
    /// Longer than a host name can be, or a label longer than 63.
    TooLong,
    /// Two dots in a row, a dot at the start, or more than one at the end.
    EmptyLabel,
    /// Something beside letters, digits and hyphens, or a hyphen at the edge of a label.
    Character,
    /// Unicode that IDNA does not allow, or a broken `xn--` label.
    Idna,
    /// A number in disguise: the last label is one, so resolvers may read the name as an IPv4 address.
    Numeric,
    /// Something before an `@`.
    Userinfo,
    /// An IPv6 address with a zone.
    Zone,
    /// Square brackets that hold no IPv6 address, or are not closed.
    Brackets,
    /// No decimal number from 1 to 65535 after the colon.
    Port,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Nul => "holds a NUL byte",
            Self::TooLong => "is longer than a host name can be (253, and 63 for each label)",
            Self::EmptyLabel => "has an empty label",
            Self::Character => {
                "holds a character no host name has (letters, digits and inner hyphens are allowed)"
            }
            Self::Idna => "is not a valid internationalised name",
            Self::Numeric => "ends in a number, so programs may read it as an IPv4 address",
            Self::Userinfo => "holds user information before an @",
            Self::Zone => "holds an IPv6 zone",
            Self::Brackets => "has square brackets that do not hold an IPv6 address",
            Self::Port => "has a port that is not a decimal number from 1 to 65535",
        })
    }
}

impl std::error::Error for HostError {}

/// A canonical host name: ASCII, lower case, no trailing dot, never an address. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Canonicalises a name.
    ///
    /// # Errors
    ///
    /// When the text is not a host name, or has a second reading.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.contains('\0') {
            return Err(HostError::Nul);
        }
        if text.contains('@') {
            return Err(HostError::Userinfo);
        }
        if text.len() > MAX_INPUT {
            return Err(HostError::TooLong);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.split('.').any(str::is_empty) {
            return Err(HostError::EmptyLabel);
        }
        // One by one, for an answer that names the trouble; IDNA alone only says no.
        if text.is_ascii() {
            if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
                return Err(HostError::Character);
            }
            if text.len() > MAX_NAME || text.split('.').any(|label| label.len() > MAX_LABEL) {
                return Err(HostError::TooLong);
            }
            if text.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
                return Err(HostError::Character);
            }
        }
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| HostError::Idna)?;
        if ends_in_number(&ascii) {
            return Err(HostError::Numeric);
        }
        Ok(Self(Arc::from(&*ascii)))
    }

    /// Canonicalises a name that came over the wire.
    ///
    /// # Errors
    ///
    /// As [`Name::parse`], and for bytes that are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| HostError::Character)?)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name and all names above it, longest first: `a.b.c`, `b.c`, `c`.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.0), |rest| rest.split_once('.').map(|(_, above)| above))
    }
}

/// So that maps by name can be asked for a suffix.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule of the WHATWG URL standard: whatever passes it, `inet_aton` and its relatives cannot read as an address,
/// because the last part of every spelling they accept is a number.
fn ends_in_number(ascii: &str) -> bool {
    let last = ascii.rsplit('.').next().unwrap_or(ascii);
    match last.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name.
    Name(Name),
    /// An address; IPv4-mapped IPv6 addresses have become IPv4.
    Ip(IpAddr),
}

impl Host {
    /// Canonicalises a host: a name, an IPv4 address of four decimal numbers, or an IPv6 address, with or without
    /// square brackets.
    ///
    /// # Errors
    ///
    /// When the text is none of these, or has a second reading.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Brackets)?;
            if inner.contains('%') {
                return Err(HostError::Zone);
            }
            return inner
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Ip(IpAddr::V6(ip).to_canonical()))
                .map_err(|_| HostError::Brackets);
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Ip(IpAddr::V6(ip).to_canonical()));
        }
        if text.contains(':') && text.contains('%') {
            return Err(HostError::Zone);
        }
        Name::parse(text).map(Self::Name)
    }

    /// Canonicalises a host that came over the wire.
    ///
    /// # Errors
    ///
    /// As [`Host::parse`], and for bytes that are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| HostError::Character)?)
    }
}

impl fmt::Display for Host {
    /// The canonical spelling; IPv6 addresses in square brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Who.
    pub host: Host,
    /// Which port, if the text named one.
    pub port: Option<u16>,
}

impl Authority {
    /// Understands `host`, `host:port`, `[v6]` and `[v6]:port`.
    ///
    /// # Errors
    ///
    /// When host or port cannot be understood.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains('\0') {
            return Err(HostError::Nul);
        }
        if text.contains('@') {
            return Err(HostError::Userinfo);
        }
        let (host, port) = split_port(text)?;
        Ok(Self { host: Host::parse(host)?, port })
    }

    /// Understands an authority that came over the wire.
    ///
    /// # Errors
    ///
    /// As [`Authority::parse`], and for bytes that are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| HostError::Character)?)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

/// Splits `…:port` off. Without square brackets, more than one colon means an IPv6 address without a port.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or(HostError::Brackets)? + 1;
        match &text[end..] {
            "" => return Ok((text, None)),
            rest => (&text[..end], rest.strip_prefix(':').ok_or(HostError::Brackets)?),
        }
    } else {
        match text.split_once(':') {
            None => return Ok((text, None)),
            Some((_, rest)) if rest.contains(':') => return Ok((text, None)),
            Some(split) => split,
        }
    };
    Ok((host, Some(parse_port(port)?)))
}

fn parse_port(text: &str) -> Result<u16, HostError> {
    // `u16::from_str` takes a plus sign and leading zeros; nobody means those.
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().map_err(|_| HostError::Port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Result<String, HostError> {
        Name::parse(text).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn names_become_canonical() {
        assert_eq!(name("ALLOWED.com.").unwrap(), "allowed.com");
        assert_eq!(name("allowed.com").unwrap(), "allowed.com");
        assert_eq!(name("bücher.Example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(name("xn--bcher-kva.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(name("ａｌｌｏｗｅｄ。com").unwrap(), "allowed.com");
        assert_eq!(name("r3---sn-abc.video.example").unwrap(), "r3---sn-abc.video.example");
        assert_eq!(name("1e100.net").unwrap(), "1e100.net");
        assert_eq!(name("registry").unwrap(), "registry");
        assert_eq!(name("0xyz").unwrap(), "0xyz");
    }

    #[test]
    fn names_with_a_second_reading_are_refused() {
        for (text, error) in [
            ("", HostError::Empty),
            (".", HostError::EmptyLabel),
            ("a..b", HostError::EmptyLabel),
            (".a", HostError::EmptyLabel),
            ("a.com..", HostError::EmptyLabel),
            ("a\0.allowed.com", HostError::Nul),
            ("evil.test\0.allowed.com", HostError::Nul),
            ("allowed.com@evil", HostError::Userinfo),
            ("a_b.com", HostError::Character),
            ("a b.com", HostError::Character),
            ("a.com/", HostError::Character),
            ("a%2ecom", HostError::Character),
            ("*.com", HostError::Character),
            ("-a.com", HostError::Character),
            ("a-.com", HostError::Character),
            ("a\r\nb.com", HostError::Character),
            ("xn--a.com", HostError::Idna),
            ("a\u{ad}\u{ad}", HostError::Idna),
            ("127.1", HostError::Numeric),
            ("0x7f.1", HostError::Numeric),
            ("0x7f000001", HostError::Numeric),
            ("0x", HostError::Numeric),
            ("2130706433", HostError::Numeric),
            ("0177.0.0.1", HostError::Numeric),
            ("127.0.0.1", HostError::Numeric),
            ("127.0.0.1.", HostError::Numeric),
            ("127.0.0.0x1", HostError::Numeric),
            ("1.2.3.4.5", HostError::Numeric),
            ("１２７.0.0.1", HostError::Numeric),
            ("①②⑦.0.0.①", HostError::Numeric),
            ("a.0XFF", HostError::Numeric),
        ] {
            let got = name(text);
            // A soft hyphen is ignored by IDNA, so that case may also come out as the name without it.
            if text.contains('\u{ad}') {
                assert!(got.is_err() || got == Ok("a".into()), "{text:?}: {got:?}");
            } else {
                assert_eq!(got, Err(error), "{text:?}");
            }
        }
    }

    #[test]
    fn names_have_a_longest() {
        let label = "a".repeat(63);
        assert!(name(&label).is_ok());
        assert_eq!(name(&"a".repeat(64)), Err(HostError::TooLong));
        let longest = [&*label, &*label, &*label, &"b".repeat(61)].join(".");
        assert_eq!(longest.len(), MAX_NAME);
        assert!(name(&longest).is_ok());
        assert!(name(&format!("{longest}.")).is_ok());
        assert_eq!(name(&format!("{longest}b")), Err(HostError::TooLong));
        assert_eq!(name(&"a.".repeat(5000)), Err(HostError::TooLong));
        assert!(name(&"ü".repeat(200)).is_err());
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        assert_eq!(Host::parse("[::ffff:127.0.0.1]").unwrap(), Host::Ip([127, 0, 0, 1].into()));
        assert_eq!(Host::parse("::ffff:7f00:1").unwrap(), Host::Ip([127, 0, 0, 1].into()));
        assert_eq!(Host::parse("::1").unwrap().to_string(), "[::1]");
        assert_eq!(Host::parse("8.8.8.8").unwrap().to_string(), "8.8.8.8");
        assert_eq!(Host::parse("fe80::1%eth0"), Err(HostError::Zone));
        assert_eq!(Host::parse("[fe80::1%25eth0]"), Err(HostError::Zone));
        assert_eq!(Host::parse("[127.0.0.1]"), Err(HostError::Brackets));
        assert_eq!(Host::parse("[::1"), Err(HostError::Brackets));
        assert_eq!(Host::parse("0177.0.0.1"), Err(HostError::Numeric));
        assert_eq!(Host::from_bytes(b"\xff.com"), Err(HostError::Character));
    }

    #[test]
    fn suffixes_are_whole_labels() {
        let name = Name::parse("a.b.example.com").unwrap();
        assert_eq!(
            name.suffixes().collect::<Vec<_>>(),
            ["a.b.example.com", "b.example.com", "example.com", "com"]
        );
    }

    #[test]
    fn authorities_have_ports() {
        let parse = |text: &str| Authority::parse(text).map(|authority| authority.to_string());
        assert_eq!(parse("A.com:443").unwrap(), "a.com:443");
        assert_eq!(parse("a.com").unwrap(), "a.com");
        assert_eq!(parse("[::1]:80").unwrap(), "[::1]:80");
        assert_eq!(parse("::1").unwrap(), "[::1]");
        assert_eq!(parse("127.0.0.1:8471").unwrap(), "127.0.0.1:8471");
        for bad in ["a.com:", "a.com:0", "a.com:080", "a.com:+80", "a.com:65536", "a.com:8a", "[::1]:"] {
            assert_eq!(parse(bad), Err(HostError::Port), "{bad}");
        }
        assert_eq!(parse("user@a.com:80"), Err(HostError::Userinfo));
        assert_eq!(parse("user:pw@a.com"), Err(HostError::Userinfo));
        assert_eq!(parse("[::1]80"), Err(HostError::Brackets));
        assert_eq!(parse("a\0.com:80"), Err(HostError::Nul));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_canonical_is_canonical(text in any::<String>()) {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name));
            }
            if let Ok(authority) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
            }
        }

        #[test]
        fn canonical_names_are_ldh(text in "([a-zA-Z0-9üßЖ。_-]{1,12}[.]){0,4}[a-zA-Zü0-9x-]{1,9}[.]?") {
            if let Ok(name) = Name::parse(&text) {
                let text = name.as_str();
                prop_assert!(text.len() <= MAX_NAME);
                prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)));
                prop_assert!(text.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len())));
                prop_assert!(text.parse::<IpAddr>().is_err());
                prop_assert_eq!(Name::parse(text).unwrap(), name);
            }
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Host::from_bytes(&bytes);
            let _ = Authority::from_bytes(&bytes);
        }

        #[test]
        fn addresses_survive(ip in any::<IpAddr>(), port in 1u16..) {
            let authority = Authority { host: Host::Ip(ip.to_canonical()), port: Some(port) };
            prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
        }
    }
}
