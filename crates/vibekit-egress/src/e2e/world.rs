//! A gateway, its sandbox side, and servers that remember what reached them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::addr::Range;
use crate::{
    Denial, Gateway, Limits, Listeners, Network, Policy, Reason, Resolver, Settings, UpstreamProxy, dns,
};

/// Longest any step of a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn soon<T>(step: impl Future<Output = T>) -> T {
    timeout(PATIENCE, step).await.expect("in time")
}

/// Names with the answers their lookups get, one after the other; the last one stays.
#[derive(Default)]
pub(super) struct Zone {
    answers: Mutex<HashMap<String, Vec<Vec<SocketAddr>>>>,
    pub(super) asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolver for Zone {
    async fn resolve(&self, name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// What a test starts from.
pub(super) struct Setup {
    pub(super) network: Network,
    pub(super) limits: Limits,
    pub(super) upstream: Option<UpstreamProxy>,
}

pub(super) fn allowing(rules: &[&str]) -> Setup {
    let rules = rules.iter().map(|&rule| rule.to_owned()).collect();
    Setup { network: Network::List(rules), limits: Limits::default(), upstream: None }
}

pub(super) struct World {
    pub(super) gateway: Option<Gateway>,
    pub(super) zone: Arc<Zone>,
    ports: HashMap<u16, u16>,
    dns_udp: SocketAddr,
    pub(super) dns_tcp: SocketAddr,
    pub(super) proxy: SocketAddr,
    pub(super) socks: SocketAddr,
}

/// Ports every world captures. 2222 stands for any other one.
const CAPTURED: [u16; 4] = [22, 80, 443, 2222];

impl Setup {
    pub(super) async fn start(self) -> World {
        let range = Range::new([127, 0, 1, 0].into(), 24).unwrap();
        let policy = Policy::from_options(self.network).unwrap().pretending_public(range);
        let zone = Arc::new(Zone::default());
        let settings = Settings { resolver: zone.clone(), upstream: self.upstream, limits: self.limits };
        let listen = |ip: Ipv4Addr| async move { TcpListener::bind((ip, 0)).await.unwrap() };
        let mut listeners = Listeners {
            tcp: Vec::new(),
            dns_udp: Some(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()),
            dns_tcp: Some(listen(Ipv4Addr::LOCALHOST).await),
            connect_proxy: Some(listen(Ipv4Addr::UNSPECIFIED).await),
            socks: Some(listen(Ipv4Addr::UNSPECIFIED).await),
        };
        let mut ports = HashMap::new();
        for port in CAPTURED {
            let listener = listen(Ipv4Addr::UNSPECIFIED).await;
            ports.insert(port, listener.local_addr().unwrap().port());
            listeners.tcp.push((port, listener));
        }
        let at = |listener: &Option<TcpListener>| {
            SocketAddr::from(([127, 0, 0, 1], listener.as_ref().unwrap().local_addr().unwrap().port()))
        };
        World {
            zone,
            ports,
            dns_udp: listeners.dns_udp.as_ref().unwrap().local_addr().unwrap(),
            dns_tcp: at(&listeners.dns_tcp),
            proxy: at(&listeners.connect_proxy),
            socks: at(&listeners.socks),
            gateway: Some(Gateway::start_with(Arc::new(policy), listeners, settings, [127, 18, 0, 0].into())),
        }
    }
}

impl World {
    /// Gives a name the addresses its lookups are answered with.
    pub(super) fn name(&self, name: &str, answers: &[&[SocketAddr]]) {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        self.zone.answers.lock().unwrap().insert(name.to_owned(), answers);
    }

    /// A lookup as a program inside does it: code and address of the answer.
    pub(super) async fn lookup(&self, name: &str, kind: u16) -> (u8, Option<Ipv4Addr>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(&dns::question(name.as_bytes(), kind), self.dns_udp).await.unwrap();
        let mut reply = [0; 512];
        let length = soon(socket.recv(&mut reply)).await.unwrap();
        unpack(&reply[..length])
    }

    /// Connects to an address as a program inside does it, by the captured port.
    pub(super) async fn connect(&self, ip: impl Into<IpAddr>, port: u16) -> TcpStream {
        soon(TcpStream::connect((ip.into(), self.ports[&port]))).await.unwrap()
    }

    /// Looks a name up and connects to what came out.
    pub(super) async fn connect_name(&self, name: &str, port: u16) -> TcpStream {
        let (code, address) = self.lookup(name, 1).await;
        assert_eq!(code, 0, "{name}");
        self.connect(address.unwrap(), port).await
    }

    pub(super) fn denials(&self) -> Vec<Denial> {
        self.gateway.as_ref().unwrap().denials()
    }

    /// The reasons noted so far, oldest first.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        self.denials().into_iter().map(|denial| denial.reason).collect()
    }
}

pub(super) fn unpack(reply: &[u8]) -> (u8, Option<Ipv4Addr>) {
    let address = (reply[7] == 1).then(|| {
        let octets: [u8; 4] = reply[reply.len() - 4..].try_into().unwrap();
        Ipv4Addr::from(octets)
    });
    (reply[3] & 15, address)
}

/// A server that keeps what it received, one entry for each connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Sends `greeting` to every connection, then `answer` once it has seen `until`, and goes on reading. Ends its
    /// side when the peer has ended, or after the answer if `close`.
    pub(super) async fn start(
        ip: impl Into<IpAddr>,
        greeting: &'static [u8],
        until: &'static [u8],
        answer: &'static [u8],
        close: bool,
    ) -> Self {
        let listener = TcpListener::bind((ip.into(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
        let record = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let index = {
                    let mut record = record.lock().unwrap();
                    record.push(Vec::new());
                    record.len() - 1
                };
                let record = record.clone();
                tokio::spawn(async move {
                    stream.write_all(greeting).await?;
                    let (mut buffer, mut answered) = ([0; 4096], until.is_empty());
                    loop {
                        let length = stream.read(&mut buffer).await?;
                        let found = {
                            let mut record = record.lock().unwrap();
                            record[index].extend_from_slice(&buffer[..length]);
                            record[index].windows(until.len().max(1)).any(|window| window == until)
                        };
                        if found && !answered {
                            answered = true;
                            stream.write_all(answer).await?;
                            if close {
                                stream.shutdown().await?;
                            }
                        }
                        if length == 0 {
                            stream.write_all(b"<end>").await?;
                            return io::Result::Ok(());
                        }
                    }
                });
            }
        })
        .abort_handle();
        Self { address, seen, task }
    }

    /// One that answers HTTP requests and closes.
    pub(super) async fn http(ip: [u8; 4]) -> Self {
        Self::start(ip, b"", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true).await
    }

    /// One that only listens.
    pub(super) async fn silent(ip: [u8; 4]) -> Self {
        Self::start(ip, b"", b"", b"", false).await
    }

    /// What every connection brought, as text.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().concat()
    }
}

/// Sends everything, then reads to the end. A connection that is closed under one counts as an end.
pub(super) async fn talk(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(bytes).await;
    rest(stream).await
}

pub(super) async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = soon(stream.read_to_end(&mut out)).await;
    out
}

/// Reads until the text is there.
pub(super) async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut out = Vec::new();
    soon(async {
        while !String::from_utf8_lossy(&out).contains(text) {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{:?}", String::from_utf8_lossy(&out));
            out.push(byte[0]);
        }
    })
    .await;
    String::from_utf8(out).unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
