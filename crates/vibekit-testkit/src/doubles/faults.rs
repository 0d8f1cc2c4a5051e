//! A TCP proxy that breaks what passes through it, on purpose and by plan.
//!
//! ```ignore
//! let proxy = FaultProxy::start(double.addr(), |nth| if nth == 0 { Fault::CutDown(17) } else { Fault::None }).await?;
//! let client = client_of(proxy.url());
//! ```
//!
//! It knows nothing of what is said: any client and any server on TCP will do. A plan maps the number of a connection, counted
//! from 0, to its fault, so a failure is played again by its number or by the seed of [`Fault::random`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::Rng;

/// What happens to one connection. "Down" is from the server to the client, "up" the other way; numbers are bytes that still
/// get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Closed as soon as it is accepted.
    Refuse,
    /// Both directions end in order after so many bytes down.
    CutDown(u64),
    /// Both directions end in order after so many bytes up.
    CutUp(u64),
    /// The client gets a reset after so many bytes down.
    Reset(u64),
    /// Silence after so many bytes down, for so long; for ever when `None`. Nothing is lost, and nothing is closed.
    Stall(u64, Option<Duration>),
    /// Everything down is late by this.
    Late(Duration),
    /// Down in pieces of so many bytes.
    Pieces(usize),
}

impl Fault {
    /// One by chance, for traffic of about `bytes` down. Every kind is as likely as any other.
    pub fn random(rng: &mut Rng, bytes: u64) -> Self {
        let at = rng.below(bytes.max(1));
        let pause = Duration::from_millis(rng.between(1, 50));
        match rng.below(8) {
            0 => Self::None,
            1 => Self::Refuse,
            2 => Self::CutDown(at),
            3 => Self::CutUp(at),
            4 => Self::Reset(at),
            5 => Self::Stall(at, Some(pause)),
            6 => Self::Late(pause),
            _ => Self::Pieces(usize::try_from(rng.between(1, 7)).unwrap_or(1)),
        }
    }
}

/// The proxy. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    accepted: AtomicUsize,
    down: AtomicU64,
    /// Rings whenever a fault has happened.
    struck: Notify,
    strikes: AtomicUsize,
}

impl FaultProxy {
    /// A proxy on a free port of loopback, to `upstream`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(
        upstream: SocketAddr,
        plan: impl Fn(usize) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // Connections end with the set, and the set with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        let nth = kept.accepted.fetch_add(1, Ordering::SeqCst);
                        connections.spawn(carry(client, upstream, plan(nth), Arc::clone(&kept)));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { addr, shared, task: task.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as the base of HTTP URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Bytes carried down so far, over all connections.
    #[must_use]
    pub fn down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }

    /// Waits until at least `times` faults have happened.
    pub async fn struck(&self, times: usize) {
        loop {
            let rung = self.shared.struck.notified();
            if self.shared.strikes.load(Ordering::SeqCst) >= times {
                return;
            }
            rung.await;
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn strike(&self) {
        self.strikes.fetch_add(1, Ordering::SeqCst);
        self.struck.notify_waiters();
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, fault: Fault, shared: Arc<Shared>) {
    if fault == Fault::Refuse {
        shared.strike();
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    if let Fault::Reset(_) = fault {
        // Closing with unsent data thrown away is what makes a reset of a close.
        let _ = client.set_zero_linger();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = copy_up(from_client, to_server, fault, &shared);
    let down = copy_down(from_server, to_client, fault, &shared);
    tokio::pin!(up, down);
    // A half that ends in order leaves the other one open, as TCP does; a fault ends both.
    tokio::select! {
        end = &mut up => if end == End::Orderly { down.await; },
        end = &mut down => if end == End::Orderly { up.await; },
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Orderly,
    Fault,
}

async fn copy_up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, shared: &Shared) -> End {
    let mut left = match fault {
        Fault::CutUp(bytes) => Some(bytes),
        _ => None,
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        if left == Some(0) {
            shared.strike();
            return End::Fault;
        }
        let most =
            left.map_or(buffer.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()));
        let n = match from.read(&mut buffer[..most]).await {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        if let Some(left) = &mut left {
            *left -= n as u64;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    End::Orderly
}

async fn copy_down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, shared: &Shared) -> End {
    let mut left = match fault {
        Fault::CutDown(bytes) | Fault::Reset(bytes) | Fault::Stall(bytes, _) => Some(bytes),
        _ => None,
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        if left == Some(0) {
            shared.strike();
            match fault {
                Fault::Stall(_, Some(pause)) => tokio::time::sleep(pause).await,
                Fault::Stall(_, None) => std::future::pending().await,
                Fault::Reset(_) => {
                    // Dropped as it is it would say goodbye first.
                    to.forget();
                    return End::Fault;
                }
                _ => return End::Fault,
            }
            left = None;
        }
        let most = match (left, fault) {
            (Some(left), _) => usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()),
            (None, Fault::Pieces(bytes)) => bytes.clamp(1, buffer.len()),
            (None, _) => buffer.len(),
        };
        let n = match from.read(&mut buffer[..most]).await {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        if let Some(left) = &mut left {
            *left -= n as u64;
        }
        if let Fault::Late(pause) = fault {
            shared.strike();
            tokio::time::sleep(pause).await;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
        shared.down.fetch_add(n as u64, Ordering::SeqCst);
    }
    let _ = to.shutdown().await;
    End::Orderly
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        addr
    }

    async fn ask(proxy: &FaultProxy, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.addr()).await?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await?;
        Ok(got)
    }

    #[tokio::test]
    async fn carries_what_nothing_happens_to() {
        let proxy = FaultProxy::start(echo().await, |_| Fault::None).await.unwrap();
        assert_eq!(ask(&proxy, b"hello").await.unwrap(), b"hello");
        assert_eq!((proxy.connections(), proxy.down()), (1, 5));
    }

    #[tokio::test]
    async fn cuts_after_the_byte_it_was_told() {
        for at in 0..5_u64 {
            let proxy = FaultProxy::start(echo().await, move |_| Fault::CutDown(at)).await.unwrap();
            assert_eq!(ask(&proxy, b"hello").await.unwrap_or_default().len() as u64, at);
            proxy.struck(1).await;
        }
    }

    #[tokio::test]
    async fn resets() {
        let proxy = FaultProxy::start(echo().await, |_| Fault::Reset(2)).await.unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut got = Vec::new();
        let error = stream.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn stalls_and_goes_on() {
        let plan =
            |nth| if nth == 0 { Fault::Stall(2, Some(Duration::from_millis(20))) } else { Fault::Pieces(1) };
        let proxy = FaultProxy::start(echo().await, plan).await.unwrap();
        assert_eq!(ask(&proxy, b"hello").await.unwrap(), b"hello");
        assert_eq!(ask(&proxy, b"again").await.unwrap(), b"again");
    }
}
