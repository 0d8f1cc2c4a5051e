//! Plain HTTP for a name: one request per connection, held against the name, and its answer.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use crate::Reason;
use crate::buffered::{Buffered, ReadError, drain, within};
use crate::connection::Attempt;
use crate::http::{self, Chunk, Chunks, Framing, Request, Target};

/// Notes the reason and makes the response that tells it.
pub(crate) fn refusal(attempt: &Attempt<'_>, reason: Reason) -> Vec<u8> {
    let status = if reason.is_failure() { "502 Bad Gateway" } else { "403 Forbidden" };
    http::refusal(status, &attempt.note_and_tell(reason))
}

/// Reads the request, unless that was done before, and forwards it if it is for the attempt's destination.
pub(crate) async fn forward(
    attempt: &Attempt<'_>,
    mut client: Buffered,
    upstream: Option<Buffered>,
    request: Option<Request>,
) {
    let request = match request {
        Some(request) => Ok(request),
        None => match within(attempt.shared.handshake, client.read(http::MAX_HEAD, http::request)).await {
            Some(Ok(request)) if request.target != Target::Tunnel => Ok(request),
            // A connection made in advance and not used.
            Some(Err(ReadError::Ended)) => return,
            Some(Err(ReadError::TooLong)) | None => Err(Reason::Stalled),
            Some(Err(ReadError::Parse(http::HttpError::Host(_)))) => Err(Reason::HostMismatch),
            Some(Ok(_) | Err(ReadError::Parse(http::HttpError::Malformed))) => Err(Reason::NotHttp),
        },
    };
    let verified = request.and_then(|request| {
        let same = http::is_for(&request.authority, &attempt.host, attempt.port);
        if same { Ok(request) } else { Err(Reason::HostMismatch) }
    });
    let connected = match verified {
        Ok(request) => attempt.connected(upstream).await.map(|upstream| (request, upstream)),
        Err(reason) => Err(reason),
    };
    match connected {
        Err(reason) => client.farewell(&refusal(attempt, reason)).await,
        Ok((request, upstream)) => {
            attempt.shared.counts.forwarded.fetch_add(1, Relaxed);
            if exchange(&mut client, upstream, &request).await.is_ok() {
                client.farewell(b"").await;
            }
        }
    }
}

/// Forwards the request and its answer. `Ok` when the answer is complete.
async fn exchange(client: &mut Buffered, mut upstream: Buffered, request: &Request) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.stream.split();
    let (mut from_server, mut to_server) = upstream.stream.split();
    to_server.write_all(&request.head).await?;
    let (tell, told) = oneshot::channel();
    let up = async {
        let sent = async {
            send_body(&mut client.buffer, &mut from_client, &mut to_server, request.framing).await?;
            // Only a server that switched protocols hears more on this connection.
            if told.await.unwrap_or(false) {
                to_server.write_all(&client.buffer).await?;
                copy(&mut from_client, &mut to_server).await?;
            } else {
                drain(&mut from_client).await?;
            }
            io::Result::Ok(())
        }
        .await;
        let _ = to_server.shutdown().await;
        match sent {
            // A server that no longer listens may have answered nevertheless.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            sent => sent,
        }
    };
    let down = async {
        let switched =
            send_answer(&mut upstream.buffer, &mut from_server, &mut to_client, request.websocket).await?;
        let _ = tell.send(switched);
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await?;
        io::Result::Ok(switched)
    };
    tokio::pin!(up, down);
    tokio::select! {
        sent = &mut up => {
            sent?;
            down.await?;
        }
        // The answer is what counts: some servers give it before they have read the request.
        answered = &mut down => if answered? {
            up.await?;
        },
    }
    Ok(())
}

async fn send_body(
    buffer: &mut BytesMut,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    framing: Framing,
) -> io::Result<()> {
    match framing {
        Framing::Length(mut left) => {
            while left > 0 {
                if buffer.is_empty() {
                    fill(buffer, from).await?;
                }
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                to.write_all(&buffer.split_to(take)).await?;
                left -= take as u64;
            }
        }
        Framing::Chunked => {
            let mut chunks = Chunks::default();
            loop {
                let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
                let used = match chunks.next(buffer).map_err(malformed)? {
                    (Chunk::More, _) => {
                        fill(buffer, from).await?;
                        continue;
                    }
                    (Chunk::Frame, used) => used,
                    (Chunk::Data(data), used) => {
                        let size = format!("{:x}\r\n", data.len());
                        to.write_all(&[size.as_bytes(), data, b"\r\n"].concat()).await?;
                        used
                    }
                    (Chunk::End, used) => {
                        to.write_all(b"0\r\n\r\n").await?;
                        let _ = buffer.split_to(used);
                        return Ok(());
                    }
                };
                let _ = buffer.split_to(used);
            }
        }
    }
    Ok(())
}

/// Forwards the heads of the answer, interim ones included, and what came with them. True when the server switched
/// protocols.
async fn send_answer(
    buffer: &mut BytesMut,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    may_switch: bool,
) -> io::Result<bool> {
    let switched = loop {
        match http::response(buffer) {
            Ok(Some((response, used))) => {
                let _ = buffer.split_to(used);
                if response.status == 101 && !may_switch {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                to.write_all(&response.head).await?;
                if response.status == 101 || response.status >= 200 {
                    break response.status == 101;
                }
            }
            Ok(None) if buffer.len() < http::MAX_HEAD => fill(buffer, from).await?,
            // An answer need not be one: nothing depends on it, and the client knows better what it can read.
            Ok(None) | Err(_) => break false,
        }
    };
    to.write_all(buffer).await?;
    buffer.clear();
    Ok(switched)
}

async fn fill(buffer: &mut BytesMut, from: &mut ReadHalf<'_>) -> io::Result<()> {
    match from.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
