//! Reaching the network. An attempt works only if an answer comes back: a connection that leads to nobody is none.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::report::{Begun, begin, say};
use crate::sys::{Attempt, Errno};

const PATIENCE: Duration = Duration::from_millis(2500);

/// `tcp ROW HOST-HEADER ADDRESS:PORT …`: connects to each and asks for a page.
pub(crate) fn tcp(arguments: &[OsString]) {
    let Some((row, words)) = numbered(arguments) else { return };
    let [host, targets @ ..] = words.as_slice() else { return };
    let mut begun = Vec::new();
    for target in targets {
        begun.push(begin(row, &format!("tcp {target}"), || {
            let address: SocketAddr = target.parse().map_err(|_| Errno(libc::EINVAL))?;
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            ask(stream, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
        }));
    }
    begun.into_iter().for_each(Begun::end);
}

/// `udp ROW ADDRESS:PORT …`: sends a datagram to each and waits for one.
pub(crate) fn udp(arguments: &[OsString]) {
    let Some((row, targets)) = numbered(arguments) else { return };
    let mut begun = Vec::new();
    for target in &targets {
        begun.push(begin(row, &format!("udp {target}"), || {
            let address: SocketAddr = target.parse().map_err(|_| Errno(libc::EINVAL))?;
            exchange(address, b"secret from inside").map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }));
    }
    begun.into_iter().for_each(Begun::end);
}

/// `dns ROW SERVER NAME …`: asks for each name in several types, over UDP and TCP. Works if addresses or other records
/// come back; the detail is the addresses.
pub(crate) fn dns(arguments: &[OsString]) {
    let Some((row, words)) = numbered(arguments) else { return };
    let [server, names @ ..] = words.as_slice() else { return };
    let Ok(server) = server.parse::<IpAddr>() else { return };
    let server = SocketAddr::new(server, 53);
    let mut begun = Vec::new();
    for name in names {
        for (label, kind) in [("A", 1_u16), ("TXT", 16), ("ANY", 255), ("AAAA", 28), ("MX", 15), ("NULL", 10)]
        {
            let query = query(name, kind);
            begun.push(begin(row, &format!("dns {label} {name} over udp"), || {
                answer(&exchange(server, &query)?)
            }));
            begun.push(begin(row, &format!("dns {label} {name} over tcp"), || {
                let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(&(query.len() as u16).to_be_bytes())?;
                stream.write_all(&query)?;
                let mut length = [0_u8; 2];
                stream.read_exact(&mut length)?;
                let mut bytes = vec![0_u8; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut bytes)?;
                answer(&bytes)
            }));
        }
    }
    begun.into_iter().for_each(Begun::end);
}

/// `proxy ROW HOST:PORT …`: asks the sandbox's own proxies for each, by name: `CONNECT`, absolute form and SOCKS5.
pub(crate) fn proxy(arguments: &[OsString]) {
    let Some((row, targets)) = numbered(arguments) else { return };
    let mut begun = Vec::new();
    for target in &targets {
        let Some((host, port)) = target.rsplit_once(':') else { continue };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        begun.push(begin(row, &format!("CONNECT {target}"), || {
            let mut stream = local(3128)?;
            write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")?;
            let mut head = [0_u8; 12];
            stream.read_exact(&mut head)?;
            if &head[9..] != b"200" {
                return Err(Errno(libc::ECONNREFUSED));
            }
            ask(stream, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
        }));
        begun.push(begin(row, &format!("GET http://{target}/"), || {
            let stream = local(3128)?;
            let request =
                format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
            ask(stream, &request)
        }));
        begun.push(begin(row, &format!("SOCKS5 {target}"), || {
            let mut stream = local(1080)?;
            stream.write_all(&[5, 1, 0])?;
            let mut chosen = [0_u8; 2];
            stream.read_exact(&mut chosen)?;
            let mut request = vec![5, 1, 0];
            match bare.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => {
                    request.push(1);
                    request.extend(address.octets());
                }
                Ok(IpAddr::V6(address)) => {
                    request.push(4);
                    request.extend(address.octets());
                }
                Err(_) => {
                    request.extend([3, bare.len() as u8]);
                    request.extend(bare.bytes());
                }
            }
            request.extend(port.parse::<u16>().unwrap_or_default().to_be_bytes());
            stream.write_all(&request)?;
            let mut reply = [0_u8; 10];
            stream.read_exact(&mut reply)?;
            if reply[1] != 0 {
                return Err(Errno(libc::ECONNREFUSED));
            }
            ask(stream, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
        }));
    }
    begun.into_iter().for_each(Begun::end);
}

/// `relay ROW HOST:PORT`: a proxy of our own inside, which asks the sandbox's proxy on behalf of a client inside.
pub(crate) fn relay(arguments: &[OsString]) {
    let Some((row, targets)) = numbered(arguments) else { return };
    let mut begun = Vec::new();
    for target in &targets {
        begun.push(begin(row, &format!("relayed {target}"), || {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            let (mut middle, _) = listener.accept()?;
            write!(
                client,
                "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Connection: keep-alive\r\n\r\n"
            )?;
            let mut buffer = [0_u8; 512];
            let count = middle.read(&mut buffer)?;
            let mut outer = local(3128)?;
            outer.write_all(&buffer[..count])?;
            let count = outer.read(&mut buffer)?;
            if buffer.get(9..12) != Some(b"200".as_slice()) || count == 0 {
                return Err(Errno(libc::ECONNREFUSED));
            }
            ask(outer, "GET / HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
        }));
    }
    begun.into_iter().for_each(Begun::end);
}

/// `serve PORT TEXT`: answers with a text on a port of loopback, until it is ended.
pub(crate) fn serve(arguments: &[OsString]) {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let [port, text] = words[..] else { return };
    let Ok(listener) = TcpListener::bind(("127.0.0.1", port.parse().unwrap_or_default())) else { return };
    say(38, "serving", "ok", port);
    for mut stream in listener.incoming().flatten() {
        let mut request = [0_u8; 512];
        let _ = stream.read(&mut request);
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
    }
}

fn numbered(arguments: &[OsString]) -> Option<(u16, Vec<&str>)> {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let row = words.next()?.parse().ok();
    if row.is_none() {
        say(0, "arguments", "unprobed", "the row must be a number");
    }
    Some((row?, words.collect()))
}

fn local(port: u16) -> Attempt<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request; the answer's beginning is the proof.
fn ask(mut stream: TcpStream, request: &str) -> Attempt<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 1024];
    while answer.len() < 1024 {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    if answer.is_empty() {
        return Err(Errno(libc::ECONNRESET));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn exchange(address: SocketAddr, payload: &[u8]) -> Attempt<Vec<u8>> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE / 2))?;
    socket.connect(address)?;
    socket.send(payload)?;
    let mut buffer = vec![0_u8; 1500];
    let count = socket.recv(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    // Id 0x766b, recursion wanted, one question.
    let mut bytes = vec![0x76, 0x6b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// The addresses of an answer that has records; refusals and empty answers are failures.
fn answer(bytes: &[u8]) -> Attempt<String> {
    if bytes.len() < 12 || bytes[3] & 15 != 0 || bytes[6..8] == [0, 0] {
        return Err(Errno(libc::ENODATA));
    }
    // The question is repeated; the records after it name it with a pointer of two bytes.
    let question = 12 + bytes[12..].iter().position(|byte| *byte == 0).unwrap_or(0) + 5;
    match bytes.get(question..) {
        Some([0xc0, _, 0, 1, _, _, _, _, _, _, 0, 4, a, b, c, d, ..]) => Ok(format!("{a}.{b}.{c}.{d}")),
        _ => Ok(format!("{} records", u16::from_be_bytes([bytes[6], bytes[7]]))),
    }
}
