//! Ports of a session, reachable from this machine.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::ToInit;

use crate::fail;
use crate::link::Answer;
use crate::session::Session;

/// Connections per port at a time.
const CONNECTIONS: usize = 256;

/// The listeners of one session, port inside to port outside. Dropping it closes them and all connections.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<HashMap<u16, (u16, AbortHandle)>>);

impl Drop for Ports {
    fn drop(&mut self) {
        self.close();
    }
}

impl Ports {
    fn table(&self) -> MutexGuard<'_, HashMap<u16, (u16, AbortHandle)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        for (_, (_, task)) in self.table().drain() {
            task.abort();
        }
    }

    /// Port on this machine that leads to `port` inside; the same one every time.
    pub(crate) async fn open(&self, session: Weak<Session>, port: u16) -> Result<u16> {
        if port == 0 {
            return Err(Error::invalid("port", "is 0", "Give the port a program inside listens on."));
        }
        if let Some((outside, _)) = self.table().get(&port) {
            return Ok(*outside);
        }
        let failed = |error: std::io::Error| fail::internal("Listening on this machine", fail::errno(&error));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let outside = listener.local_addr().map_err(failed)?.port();
        let mut table = self.table();
        if let Some((other, _)) = table.get(&port) {
            // Somebody was faster.
            return Ok(*other);
        }
        let task = tokio::spawn(accept(listener, session, port)).abort_handle();
        table.insert(port, (outside, task));
        Ok(outside)
    }
}

async fn accept(listener: TcpListener, session: Weak<Session>, port: u16) {
    // Ends with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let Some(session) = session.upgrade() else { return };
                match accepted {
                    Ok((outside, _)) => drop(connections.spawn(async move {
                        if let Ok(inside) = connect(&session, port).await {
                            drop(session);
                            relay(outside, inside).await;
                        }
                    })),
                    // Out of descriptors: somebody has to close one first.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection to a port inside, made by the init in the session's network.
async fn connect(session: &std::sync::Arc<Session>, port: u16) -> Result<TcpStream> {
    let live = session.live().await?;
    let refused =
        || Error::new(Code::ProviderFailed, format!("Nothing listens on port {port} in the sandbox"));
    let socket: OwnedFd = match live.link.ask(|request| ToInit::Connect { request, port }).await? {
        Answer::Socket(Ok(socket)) => socket,
        Answer::Socket(Err(_)) => return Err(refused()),
        Answer::Done | Answer::Jobs(..) => {
            return Err(Error::new(Code::Internal, "The sandbox gave a wrong answer"));
        }
    };
    let stream = TcpStream::from_std(std::net::TcpStream::from(socket)).map_err(|_| refused())?;
    // The connection may still be under way.
    stream.writable().await.map_err(|_| refused())?;
    match stream.take_error() {
        Ok(None) => Ok(stream),
        _ => Err(refused()),
    }
}

async fn relay(mut outside: TcpStream, mut inside: TcpStream) {
    let _ = outside.set_nodelay(true);
    let _ = inside.set_nodelay(true);
    // Whichever side breaks off: both are closed.
    let _ = copy_bidirectional(&mut outside, &mut inside).await;
}
