//! Answers name lookups without asking anybody: a permitted name gets an address that stands for it, every other one
//! does not exist. No question leaves the host, so none can carry anything out.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::sleep;

use crate::buffered::{Buffered, within};
use crate::dns::{self, Code, QueryError, TYPE_A};
use crate::gateway::Shared;
use crate::{Reason, Via};

/// The answer to a message, if it deserves one.
fn answer(shared: &Shared, message: &[u8]) -> Option<Vec<u8>> {
    let query = match dns::parse(message) {
        Ok(query) => query,
        Err(QueryError::Ignore) => return None,
        Err(QueryError::Reply(reply)) => return Some(reply),
    };
    shared.counts.lookups.fetch_add(1, Relaxed);
    if !query.internet {
        return Some(query.answer(Code::Refused, None));
    }
    let permitted = match &query.name {
        Ok(name) => shared
            .policy
            .check_lookup(name)
            .map(|()| name)
            .map_err(|reason| (name.as_str().as_bytes(), reason)),
        Err(text) => Err((text.as_slice(), Reason::BadHost)),
    };
    Some(match permitted {
        // "Refused" would say it better, but makes resolvers try again and programs report a passing failure.
        Err((text, reason)) => {
            shared.note(text, 0, Via::Dns, reason);
            query.answer(Code::NoSuchName, None)
        }
        Ok(name) if query.kind == TYPE_A => query.answer(Code::NoError, Some(shared.stand_in(name))),
        Ok(_) => query.answer(Code::NoError, None),
    })
}

/// Longest question looked at. Theirs are 300 bytes at most, with extensions.
const MAX_DATAGRAM: usize = 2048;
/// Rest after an error of the socket, which concerns an earlier answer that did not arrive.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn serve_udp(shared: Arc<Shared>, socket: UdpSocket) {
    let mut message = [0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut message).await {
            Ok((length, from)) => {
                if let Some(reply) = answer(&shared, &message[..length]) {
                    // Lost answers are asked for again.
                    let _ = socket.send_to(&reply, from).await;
                }
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Questions one after the other, each with its length before it.
pub(crate) async fn serve_tcp(shared: &Shared, client: Buffered) {
    let mut stream = client.stream;
    let mut message = Vec::new();
    loop {
        let exchange = async {
            let length = stream.read_u16().await?;
            message.resize(length.into(), 0);
            stream.read_exact(&mut message).await?;
            let reply = answer(shared, &message).unwrap_or_default();
            let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat()).await
        };
        match within(shared.handshake, exchange).await {
            Some(Ok(())) => {}
            _ => return,
        }
    }
}
