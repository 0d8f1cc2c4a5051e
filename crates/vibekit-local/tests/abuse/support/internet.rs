//! The world, as one listener.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the public names lead.
pub(crate) const PUBLIC: &str = "93.184.216.34";
/// A public address this machine itself has.
pub(crate) const OWN: &str = "93.184.216.200";

/// A connection or datagram that reached the world.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The address it was sent to.
    pub(crate) at: SocketAddr,
    /// What it began with.
    #[allow(dead_code, reason = "shown when a test fails")]
    pub(crate) said: String,
}

#[derive(Default)]
struct Log {
    heard: Vec<Heard>,
    asked: Vec<String>,
    answered: HashMap<String, u32>,
}

/// Listens on every address, the world's and this machine's, for as long as the process lives.
pub(crate) struct Internet(Arc<Mutex<Log>>);

impl Internet {
    /// What everybody out there answers.
    pub(crate) const CANARY: &str = "canary-of-the-world";

    /// Starts listening. Only at `Place::Internet`: the world's own sockets come from there, this machine's are made
    /// here.
    pub(crate) fn start() -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let given = std::env::var("VIBEKIT_ATTACK_WORLD").expect("this is no place for that");
        for socket in given.split(',').filter(|socket| !socket.is_empty()) {
            let (kind, fd) = socket.split_once(':').unwrap();
            // SAFETY: made for this process, named once, and closed by nobody else.
            let fd = unsafe { OwnedFd::from_raw_fd(fd.parse().unwrap()) };
            rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).unwrap();
            match kind {
                "tcp" => accept(fd.into(), &log),
                "udp" => receive(fd.into(), &log),
                _ => resolve(fd.into(), &log),
            }
        }
        for port in [22, 53, 80, 443, 853, 8080] {
            // One socket for both families: an IPv4 address shows as a mapped one.
            accept(TcpListener::bind(("::", port)).unwrap(), &log);
        }
        for port in [123, 443] {
            receive(UdpSocket::bind(("::", port)).unwrap(), &log);
        }
        let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let resolvers = resolvers
            .lines()
            .filter_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
        for own in resolvers.filter(|address| address.is_ipv6() || address.is_loopback()) {
            resolve(UdpSocket::bind((own, 53)).unwrap(), &log);
        }
        Self(log)
    }

    /// Everything that arrived.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        // What was sent just now may not have been written down yet.
        std::thread::sleep(Duration::from_millis(50));
        self.0.lock().unwrap().heard.clone()
    }

    /// Names somebody asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// What a server on this machine says.
    pub(crate) fn get(host: &str) -> String {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

fn accept(listener: TcpListener, log: &Arc<Mutex<Log>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || serve(stream, &log));
        }
    });
}

fn receive(socket: UdpSocket, log: &Arc<Mutex<Log>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
            log.lock().unwrap().heard.push(Heard { at: socket.local_addr().unwrap(), said });
            let _ = socket.send_to(Internet::CANARY.as_bytes(), from);
        }
    });
}

fn resolve(socket: UdpSocket, log: &Arc<Mutex<Log>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || answer_names(&socket, &log));
}

fn serve(mut stream: TcpStream, log: &Mutex<Log>) {
    let Ok(at) = stream.local_addr() else { return };
    let at = SocketAddr::new(at.ip().to_canonical(), at.port());
    let mut buffer = [0; 1024];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1500)));
    let count = stream.read(&mut buffer).unwrap_or(0);
    let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
    log.lock().unwrap().heard.push(Heard { at, said });
    let body = Internet::CANARY;
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

/// A resolver for a few names; all others do not exist.
fn answer_names(socket: &UdpSocket, log: &Mutex<Log>) {
    let mut buffer = [0; 2048];
    while let Ok((count, from)) = socket.recv_from(&mut buffer) {
        let query = &buffer[..count];
        let Some((name, end)) = name_of(query) else { continue };
        let kind = query.get(end + 1).copied().unwrap_or_default();
        let address = {
            let mut log = log.lock().unwrap();
            log.asked.push(name.clone());
            // A resolver asks for both kinds of addresses: only questions for IPv4 count.
            if kind == 1 {
                log.answered.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
            }
            match (name.as_str(), log.answered.get(&name)) {
                ("allowed.example" | "a.wild.example" | "other.example", _) => Some(PUBLIC),
                ("rebind.example", Some(1)) => Some(PUBLIC),
                ("rebind.example" | "local.example", _) => Some("127.0.0.1"),
                ("metadata.example" | "metadata.google.internal", _) => Some("169.254.169.254"),
                ("private.example", _) => Some("10.0.0.1"),
                ("own.example", _) => Some(OWN),
                _ => None,
            }
        };
        let mut answer = query[..2].to_vec();
        let code = if address.is_some() { 0x80 } else { 0x83 };
        let records = u8::from(address.is_some() && kind == 1);
        answer.extend([0x81, code, 0, 1, 0, records, 0, 0, 0, 0]);
        answer.extend(&query[12..end + 4]);
        if let (Some(address), 1) = (address, kind) {
            let address: Ipv4Addr = address.parse().unwrap();
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            answer.extend(address.octets());
        }
        let _ = socket.send_to(&answer, from);
    }
}

/// The name of a query, and where its type begins.
fn name_of(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        match usize::from(*query.get(at)?) {
            0 => return Some((labels.join("."), at + 1)),
            length => {
                labels
                    .push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
                at += 1 + length;
            }
        }
    }
}
