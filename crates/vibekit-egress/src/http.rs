//! HTTP/1 heads and bodies (RFC 9112), as far as a proxy must understand them to know whom a request is for.
//!
//! A connection carries one request: the head is written anew with `Connection: close`, and nothing is forwarded
//! after its body. Checking every request of a connection would rest on agreeing with each server in the world where
//! a request ends; this way a server that sees the end elsewhere has been told not to read on. What has two readings
//! is refused as well.

use crate::host::{Authority, Host, HostError};

/// Longest head.
pub const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 128;
/// Longest line with the size of a chunk.
const MAX_CHUNK_LINE: usize = 256;
/// Most bytes of fields after a chunked body.
const MAX_TRAILER: usize = 16 * 1024;

/// Fields that are about one connection, not about the request. Those that matter are written anew.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Why bytes are no acceptable request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Not HTTP/1, or with two readings.
    Malformed,
    /// The request's host is none.
    Host(HostError),
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 when there is none.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `CONNECT host:port`.
    Tunnel,
    /// `http://host/path`, as proxies are asked.
    Absolute,
    /// `/path` or `*`, as servers are asked.
    Origin,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The form of the target.
    pub target: Target,
    /// Whom the request is for. Target and `Host` field say the same, where there are both.
    pub authority: Authority,
    /// How the end of its body is told.
    pub framing: Framing,
    /// True when it asks to go on as a WebSocket.
    pub websocket: bool,
    /// The head to forward to the server, in origin form. Empty for [`Target::Tunnel`].
    pub head: Vec<u8>,
}

/// Reads a request's head and its length. `Ok(None)`: more bytes are needed.
///
/// # Errors
///
/// When it is not HTTP/1, or unclear in whom it is for or where it ends.
pub fn request(bytes: &[u8]) -> Result<Option<(Request, usize)>, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpError::Malformed),
    };
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HttpError::Malformed);
    };
    let fields = &*parsed.headers;
    if method == "CONNECT" {
        let authority = Authority::parse(path).map_err(HttpError::Host)?;
        if authority.port.is_none() {
            return Err(HttpError::Host(HostError::Port));
        }
        let request = Request {
            target: Target::Tunnel,
            authority,
            framing: Framing::Length(0),
            websocket: false,
            head: Vec::new(),
        };
        return Ok(Some((request, length)));
    }

    let host = only(fields, "host")?
        .map(|value| Authority::from_bytes(value).map_err(HttpError::Host))
        .transpose()?;
    let (target, authority, path) = match absolute(path)? {
        Some((authority, path)) => {
            if host.is_some_and(|host| (&host.host, port(&host)) != (&authority.host, port(&authority))) {
                return Err(HttpError::Malformed);
            }
            (Target::Absolute, authority, path)
        }
        None => (Target::Origin, host.ok_or(HttpError::Malformed)?, path.to_owned()),
    };
    let framing = framing(fields, version)?;
    let websocket = only(fields, "upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && method == "GET"
        && framing == Framing::Length(0);

    let mut head = Vec::with_capacity(length + 32);
    for part in [method, " ", &path, " HTTP/1.", if version == 0 { "0" } else { "1" }, "\r\nHost: "] {
        head.extend_from_slice(part.as_bytes());
    }
    head.extend_from_slice(authority.to_string().as_bytes());
    head.extend_from_slice(b"\r\n");
    forward_fields(&mut head, fields);
    match framing {
        Framing::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        // A length of zero is only repeated where the client gave it: most requests have no body at all.
        Framing::Length(length) if only(fields, "content-length")?.is_some() => {
            head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Length(_) => {}
    }
    head.extend_from_slice(if websocket {
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    } else {
        b"Connection: close\r\n\r\n"
    });
    Ok(Some((Request { target, authority, framing, websocket, head }, length)))
}

fn port(authority: &Authority) -> u16 {
    authority.port.unwrap_or(80)
}

/// Splits `http://authority/path`. `Ok(None)`: it is a path.
fn absolute(target: &str) -> Result<Option<(Authority, String)>, HttpError> {
    if target.starts_with('/') || target == "*" {
        return Ok(None);
    }
    let rest = match target.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => rest,
        _ => return Err(HttpError::Malformed),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('#') {
        return Err(HttpError::Malformed);
    }
    let authority = Authority::parse(authority).map_err(HttpError::Host)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Some((authority, format!("{slash}{path}"))))
}

/// The value of a field that may be there once.
fn only<'a>(fields: &[httparse::Header<'a>], name: &str) -> Result<Option<&'a [u8]>, HttpError> {
    let mut values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let value = values.next().map(|field| field.value);
    if values.next().is_some() { Err(HttpError::Malformed) } else { Ok(value) }
}

fn framing(fields: &[httparse::Header<'_>], version: u8) -> Result<Framing, HttpError> {
    match (only(fields, "transfer-encoding")?, only(fields, "content-length")?) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(coding), None) if version == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (None, Some(digits)) if digits.iter().all(u8::is_ascii_digit) => {
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            number.map(Framing::Length).ok_or(HttpError::Malformed)
        }
        _ => Err(HttpError::Malformed),
    }
}

fn forward_fields(head: &mut Vec<u8>, fields: &[httparse::Header<'_>]) {
    for field in fields {
        if HOP_BY_HOP.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
}

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The head to forward to the client: as it came for interim responses, else with `Connection: close`.
    pub head: Vec<u8>,
}

/// Reads a response's head and its length. `Ok(None)`: more bytes are needed.
///
/// # Errors
///
/// When it is not HTTP/1.
pub fn response(bytes: &[u8]) -> Result<Option<(Response, usize)>, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpError::Malformed),
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(HttpError::Malformed);
    };
    if status < 200 {
        return Ok(Some((Response { status, head: bytes[..length].to_vec() }, length)));
    }
    let mut head = format!("HTTP/1.{version} {status} {}\r\n", parsed.reason.unwrap_or("")).into_bytes();
    for field in parsed.headers.iter() {
        if ["connection", "keep-alive", "proxy-connection"]
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
        {
            continue;
        }
        for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    Ok(Some((Response { status, head }, length)))
}

/// A whole response with a sentence for people, after which the connection is closed.
#[must_use]
pub fn refusal(status: &str, sentence: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{sentence}\n",
        sentence.len() + 1
    )
    .into_bytes()
}

/// Finds the end of a chunked body.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    state: ChunkState,
}

#[derive(Clone, Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer(usize),
    End,
}

/// What [`Chunks::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// A part of the body; never empty.
    Data(&'a [u8]),
    /// Something between the parts.
    Frame,
    /// More bytes are needed.
    More,
    /// The body is over. Fields after it have been left out.
    End,
}

impl Chunks {
    /// Takes the next piece off the start of `bytes`: what it is, and how many bytes it took.
    ///
    /// # Errors
    ///
    /// When the body is not well formed.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<(Chunk<'a>, usize), HttpError> {
        match self.state {
            ChunkState::Size => {
                let Some((line, length)) = line(bytes, MAX_CHUNK_LINE)? else { return Ok((Chunk::More, 0)) };
                let digits = line.split(|&byte| byte == b';').next().unwrap_or(line).trim_ascii_end();
                self.state = match chunk_size(digits)? {
                    0 => ChunkState::Trailer(0),
                    size => ChunkState::Data(size),
                };
                Ok((Chunk::Frame, length))
            }
            ChunkState::Data(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if take == 0 {
                    return Ok((Chunk::More, 0));
                }
                let left = left - take as u64;
                self.state = if left == 0 { ChunkState::DataEnd } else { ChunkState::Data(left) };
                Ok((Chunk::Data(&bytes[..take]), take))
            }
            ChunkState::DataEnd => match line(bytes, 0)? {
                None => Ok((Chunk::More, 0)),
                Some((_, length)) => {
                    self.state = ChunkState::Size;
                    Ok((Chunk::Frame, length))
                }
            },
            ChunkState::Trailer(seen) => match line(bytes, MAX_TRAILER - seen)? {
                None => Ok((Chunk::More, 0)),
                Some((b"", length)) => {
                    self.state = ChunkState::End;
                    Ok((Chunk::End, length))
                }
                Some((_, length)) => {
                    self.state = ChunkState::Trailer((seen + length).min(MAX_TRAILER));
                    Ok((Chunk::Frame, length))
                }
            },
            ChunkState::End => Ok((Chunk::End, 0)),
        }
    }
}

/// The line at the start, without its end, and its length with it. Only CR LF ends a line, and neither is within.
fn line(bytes: &[u8], most: usize) -> Result<Option<(&[u8], usize)>, HttpError> {
    let end = bytes.iter().position(|&byte| byte == b'\r' || byte == b'\n').unwrap_or(bytes.len());
    if end > most {
        return Err(HttpError::Malformed);
    }
    match bytes[end..] {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some((&bytes[..end], end + 2))),
        _ => Err(HttpError::Malformed),
    }
}

fn chunk_size(digits: &[u8]) -> Result<u64, HttpError> {
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(HttpError::Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| HttpError::Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| HttpError::Malformed)
}

/// Whom a canonical authority is for: the same host, and the same port if it names one.
#[must_use]
pub fn is_for(authority: &Authority, host: &Host, port: u16) -> bool {
    authority.host == *host && authority.port.unwrap_or(80) == port
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Request, HttpError> {
        request(text.as_bytes()).map(|found| found.unwrap().0)
    }

    fn head(text: &str) -> String {
        String::from_utf8(parse(text).unwrap().head).unwrap()
    }

    #[test]
    fn heads_are_written_anew() {
        assert_eq!(
            head(
                "GET /a?b HTTP/1.1\nhost: Allowed.COM.\r\nConnection: keep-alive, x\r\nKeep-Alive: 5\r\nX: y \r\n\r\n"
            ),
            "GET /a?b HTTP/1.1\r\nHost: allowed.com\r\nX: y\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head("GET http://a.com?q HTTP/1.1\r\nHost: A.com:80\r\nProxy-Authorization: Basic x\r\n\r\n"),
            "GET /?q HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head("POST /x HTTP/1.0\r\nHost: a.com:80\r\nContent-Length: 0\r\n\r\n"),
            "POST /x HTTP/1.0\r\nHost: a.com:80\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head(
                "GET /s HTTP/1.1\r\nHost: a.com\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: k\r\n\r\n"
            ),
            "GET /s HTTP/1.1\r\nHost: a.com\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        // Another protocol than WebSocket is not offered on.
        let h2c = head(
            "GET / HTTP/1.1\r\nHost: a.com\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nConnection: Upgrade\r\n\r\n",
        );
        assert_eq!(h2c, "GET / HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n");
        assert_eq!(
            head("PUT /x HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: Chunked\r\nTE: trailers\r\n\r\n"),
            "PUT /x HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn whom_it_is_for() {
        let whom = |text: &str| parse(text).map(|found| (found.target, found.authority.to_string()));
        assert_eq!(whom("CONNECT A.com:443 HTTP/1.1\r\n\r\n"), Ok((Target::Tunnel, "a.com:443".into())));
        assert_eq!(
            whom("CONNECT [::ffff:127.0.0.1]:1 HTTP/1.0\r\n\r\n"),
            Ok((Target::Tunnel, "127.0.0.1:1".into()))
        );
        assert_eq!(whom("GET HTTP://a.com:81/x HTTP/1.0\r\n\r\n"), Ok((Target::Absolute, "a.com:81".into())));
        assert_eq!(whom("OPTIONS * HTTP/1.1\r\nHost: a.com\r\n\r\n"), Ok((Target::Origin, "a.com".into())));
        for (bad, why) in [
            ("CONNECT a.com HTTP/1.1\r\n\r\n", HttpError::Host(HostError::Port)),
            ("CONNECT u@a.com:443 HTTP/1.1\r\n\r\n", HttpError::Host(HostError::Userinfo)),
            ("CONNECT 0x7f.1:443 HTTP/1.1\r\n\r\n", HttpError::Host(HostError::Numeric)),
            ("CONNECT 2130706433:443 HTTP/1.1\r\n\r\n", HttpError::Host(HostError::Numeric)),
            ("CONNECT a\0.allowed.com:443 HTTP/1.1\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost: a\0.allowed.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost: allowed.com@evil\r\n\r\n", HttpError::Host(HostError::Userinfo)),
            ("GET http://u:p@a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n", HttpError::Host(HostError::Userinfo)),
            ("GET / HTTP/1.1\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", HttpError::Host(HostError::Empty)),
            ("GET / HTTP/1.1\r\nHost: a.com\r\nhost: b.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost: a.com\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost: a.com, b.com\r\n\r\n", HttpError::Host(HostError::Character)),
            ("GET http://a.com/ HTTP/1.1\r\nHost: b.com\r\n\r\n", HttpError::Malformed),
            ("GET http://a.com/ HTTP/1.1\r\nHost: a.com:81\r\n\r\n", HttpError::Malformed),
            ("GET https://a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("GET //a.com HTTP/2.0\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("GET a.com HTTP/1.1\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("GET http://a.com/#x HTTP/1.1\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost: a.com\r\n b.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1\r\nHost : a.com\r\n\r\n", HttpError::Malformed),
            ("GET / HTTP/1.1 x\r\nHost: a.com\r\n\r\n", HttpError::Malformed),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HttpError::Malformed),
            ("\x16\x03\x01", HttpError::Malformed),
        ] {
            assert_eq!(parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn unclear_ends_are_refused() {
        let framing = |fields: &str| {
            parse(&format!("POST / HTTP/1.1\r\nHost: a.com\r\n{fields}\r\n")).map(|r| r.framing)
        };
        assert_eq!(framing(""), Ok(Framing::Length(0)));
        assert_eq!(framing("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Ok(Framing::Chunked));
        for bad in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ] {
            assert_eq!(framing(bad), Err(HttpError::Malformed), "{bad:?}");
        }
        assert!(parse("POST / HTTP/1.0\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    fn chunks(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize), HttpError> {
        let (mut decoder, mut data, mut at, mut seen) = (Chunks::default(), Vec::new(), 0, 0);
        loop {
            let (piece, took) = decoder.next(&bytes[at..seen])?;
            at += took;
            match piece {
                Chunk::Data(part) => data.extend_from_slice(part),
                Chunk::Frame => {}
                Chunk::End => return Ok((data, at)),
                Chunk::More if seen == bytes.len() => return Ok((data, usize::MAX)),
                Chunk::More => seen = (seen + step).min(bytes.len()),
            }
        }
    }

    #[test]
    fn chunked_bodies_end_where_they_end() {
        let body = b"5;ext=1\r\nhello\r\n00A \r\n0123456789\r\n0\r\nX: y\r\n\r\nGET /second";
        for step in 1..body.len() {
            assert_eq!(chunks(body, step), Ok((b"hello0123456789".to_vec(), body.len() - 11)), "{step}");
        }
        assert_eq!(chunks(b"5\r\nhel", 3), Ok((b"hel".to_vec(), usize::MAX)));
        for bad in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"\r\n",
            b"0x5\r\nhello\r\n",
            b"-1\r\n",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n",
            b"1000000000000000\r\n",
            b" 5\r\nhello\r\n",
            b"5\r\rhello",
            &[b'0'; 300],
        ] {
            assert_eq!(chunks(bad, 7), Err(HttpError::Malformed), "{:?}", String::from_utf8_lossy(bad));
        }
        let trailer = [&b"0\r\n"[..], &b"A: b\r\n".repeat(4000), b"\r\n"].concat();
        assert_eq!(chunks(&trailer, 1000), Err(HttpError::Malformed));
    }

    #[test]
    fn responses_say_that_the_connection_ends() {
        let (found, length) =
            response(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nA: b\r\n\r\nbody").unwrap().unwrap();
        assert_eq!(found.status, 200);
        assert_eq!(found.head, b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n");
        assert_eq!(length, 49);
        let (interim, _) = response(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap().unwrap();
        assert_eq!(interim.head, b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(response(b"HTTP/1.1 200"), Ok(None));
        assert!(response(b"SSH-2.0-x\r\n").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
            let _ = request(&bytes);
            let _ = response(&bytes);
            let _ = chunks(&bytes, step);
        }

        #[test]
        fn a_forwarded_head_reads_the_same(
            method in "(GET|POST|CONNECT|X)",
            path in "(/[a-z?#]{0,6}|http://[a-zA-Z.@:0-9]{1,12}(/[a-z]{0,4})?|[*])",
            fields in proptest::collection::vec(
                ("(Host|host|Content-Length|Transfer-Encoding|Upgrade|Connection|X)",
                 "(a[.]com|A[.]com:80|5|0|chunked|websocket|close|[ -~]{0,8})"), 0..5),
        ) {
            let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            if let Ok(Some((first, _))) = request(format!("{method} {path} HTTP/1.1\r\n{lines}\r\n").as_bytes())
                && first.target != Target::Tunnel
            {
                let (second, length) = request(&first.head).unwrap().unwrap();
                prop_assert_eq!(length, first.head.len());
                prop_assert_eq!(second.target, Target::Origin);
                prop_assert_eq!((&second.authority, second.framing), (&first.authority, first.framing));
                prop_assert_eq!(second.head, first.head);
            }
        }

        #[test]
        fn chunked_bodies_survive(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6), step in 1usize..30) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend(format!("{:x}\r\n", part.len()).into_bytes());
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            let length = body.len();
            body.extend(b"more");
            prop_assert_eq!(chunks(&body, step), Ok((parts.concat(), length)));
        }
    }
}
