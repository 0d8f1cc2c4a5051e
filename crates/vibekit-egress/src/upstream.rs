//! A proxy of the user's own network that has to be passed to get out.

use std::fmt;
use std::net::IpAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::addr::Range;
use crate::buffered::Buffered;
use crate::host::{Authority, Host, Name};
use crate::{PolicyError, Reason, http};

/// A proxy all traffic to the outside goes through, with the destinations that bypass it. Names are handed to it as
/// names, for such networks often cannot resolve them; what the proxy then connects to is the proxy's to judge.
#[derive(Clone)]
pub struct UpstreamProxy {
    authority: Authority,
    /// Value of the `Proxy-Authorization` field.
    authorization: Option<String>,
    bypass: Vec<Bypass>,
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamProxy")
            .field("authority", &self.authority)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .field("bypass", &self.bypass)
            .finish()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bypass {
    whom: Whom,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    All,
    /// The name and every name below it.
    Domain(Name),
    Range(Range),
}

const FIELD: &str = "HTTPS_PROXY";

impl UpstreamProxy {
    /// From the values of `HTTPS_PROXY` and `NO_PROXY` (empty for unset). `Ok(None)` when no proxy is configured.
    /// Entries of `NO_PROXY` follow what most programs do: a domain with everything below it, an address, a range,
    /// `*`, each with an optional port; entries that are none of these are left aside.
    ///
    /// # Errors
    ///
    /// When the proxy's URL cannot be used. The message never holds the password.
    pub fn from_values(https_proxy: &str, no_proxy: &str) -> Result<Option<Self>, PolicyError> {
        let url = https_proxy.trim();
        if url.is_empty() {
            return Ok(None);
        }
        let rest = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => {
                return Err(PolicyError::new(
                    FIELD,
                    "is not the URL of an HTTP proxy",
                    "Only proxies spoken to in plain HTTP are supported: \"http://proxy.example.com:3128\"",
                ));
            }
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let authority = Authority::parse(host).map_err(|error| {
            PolicyError::new(
                FIELD,
                format!("has a host that {error}"),
                "Write it as \"http://proxy.example.com:3128\"",
            )
        })?;
        let authorization = user.map(|user| format!("Basic {}", base64(&percent_decode(user))));
        Ok(Some(Self { authority, authorization, bypass: bypass(no_proxy) }))
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority.port.unwrap_or(80)
    }

    pub(crate) fn bypassed_by(&self, host: &Host, port: u16) -> bool {
        self.bypass.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match (&entry.whom, host) {
                    (Whom::All, _) => true,
                    (Whom::Domain(domain), Host::Name(name)) => {
                        name.suffixes().any(|suffix| suffix == domain.as_str())
                    }
                    (Whom::Range(range), Host::Ip(ip)) => range.contains(*ip),
                    _ => false,
                }
        })
    }

    /// Asks the proxy, over a connection to it, for one to the destination.
    pub(crate) async fn tunnel(&self, stream: TcpStream, host: &Host, port: u16) -> Result<Buffered, Reason> {
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        let mut proxy = Buffered::new(stream);
        proxy.stream.write_all(request.as_bytes()).await.map_err(|_| Reason::Unreachable)?;
        loop {
            match proxy.read(http::MAX_HEAD, http::response).await.map(|response| response.status) {
                Ok(200..=299) => return Ok(proxy),
                Ok(100 | 102..=199) => {}
                Ok(_) | Err(_) => return Err(Reason::UpstreamRefused),
            }
        }
    }
}

fn bypass(no_proxy: &str) -> Vec<Bypass> {
    let entries = no_proxy.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    let parse = |entry: &str| {
        if entry == "*" {
            return Some(Bypass { whom: Whom::All, port: None });
        }
        if let Some((base, bits)) = entry.split_once('/') {
            let range = Range::new(base.parse::<IpAddr>().ok()?, bits.parse().ok()?).ok()?;
            return Some(Bypass { whom: Whom::Range(range), port: None });
        }
        let entry = entry.strip_prefix('*').unwrap_or(entry);
        let Authority { host, port } = Authority::parse(entry.strip_prefix('.').unwrap_or(entry)).ok()?;
        let whom = match host {
            Host::Name(name) => Whom::Domain(name),
            Host::Ip(ip) => Whom::Range(Range::single(ip)),
        };
        Some(Bypass { whom, port })
    };
    entries.filter_map(parse).collect()
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
        for at in 0..4 {
            let sextet = bits >> (18 - 6 * at) & 63;
            out.push(if at <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn proxy(url: &str, no_proxy: &str) -> UpstreamProxy {
        UpstreamProxy::from_values(url, no_proxy).unwrap().unwrap()
    }

    #[test]
    fn urls() {
        assert!(UpstreamProxy::from_values("  ", "*").unwrap().is_none());
        assert_eq!(proxy("http://Proxy.corp:3128/", "").authority.to_string(), "proxy.corp:3128");
        assert_eq!(proxy("proxy.corp", "").port(), 80);
        assert_eq!(proxy("http://[::1]:1", "").authority.to_string(), "[::1]:1");
        let with = proxy("http://al%40ice:s%3Ae@proxy.corp:1", "");
        assert_eq!(with.authorization.as_deref(), Some("Basic YWxAaWNlOnM6ZQ=="));
        assert!(!format!("{with:?}").contains("YWx"));
        for (bad, says) in
            [("https://p:1", "HTTP proxy"), ("socks5://p:1", "HTTP proxy"), ("http://u:hunter2@a b", "host")]
        {
            let error = UpstreamProxy::from_values(bad, "").unwrap_err();
            assert!(error.message.contains(says) && error.message.starts_with("HTTPS_PROXY"), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn base64_matches_the_vectors_of_the_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn percent_decoding_leaves_what_is_no_escape() {
        assert_eq!(percent_decode("a%20b%2"), b"a b%2");
        assert_eq!(percent_decode("100%x1%é"), "100%x1%é".as_bytes());
    }

    #[test]
    fn bypasses() {
        let proxy = proxy(
            "http://p:1",
            "example.com, .corp *.lan,10.0.0.0/8 192.0.2.1 [2001:db8::1]:80,only.com:8443,%%",
        );
        let bypassed = |host: &str, port| proxy.bypassed_by(&Host::parse(host).unwrap(), port);
        for host in ["example.com", "a.example.com", "x.corp", "corp", "y.lan", "10.9.9.9", "192.0.2.1"] {
            assert!(bypassed(host, 443), "{host}");
        }
        for host in ["badexample.com", "example.com.evil", "11.0.0.1", "192.0.2.2", "only.com"] {
            assert!(!bypassed(host, 443), "{host}");
        }
        assert!(bypassed("only.com", 8443));
        assert!(bypassed("2001:db8::1", 80) && !bypassed("2001:db8::1", 443));
        assert!(
            UpstreamProxy::from_values("p:1", "*")
                .unwrap()
                .unwrap()
                .bypassed_by(&Host::parse("a.b").unwrap(), 1)
        );
    }
}
