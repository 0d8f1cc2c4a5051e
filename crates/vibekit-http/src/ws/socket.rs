use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;

use super::{Closed, End, Message, Socket, WsLimits};
use crate::{Bytes, Failure, Limit, Reason};

/// RFC 6455: the close frame had no code.
const NO_CODE: u16 = 1005;

pub(super) struct Connected<S> {
    stream: WebSocketStream<S>,
    limits: WsLimits,
    /// When the other side was last heard of.
    heard: Instant,
    pinged: Instant,
    closed: bool,
}

impl<S> Connected<S> {
    pub(super) fn new(stream: WebSocketStream<S>, limits: WsLimits) -> Self {
        let now = Instant::now();
        Self { stream, limits, heard: now, pinged: now, closed: false }
    }
}

fn failure(error: &WsError) -> Failure {
    let reason = match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => Reason::TooLarge,
        _ => Reason::Broken,
    };
    Failure::new(reason, format!("the connection broke off: {error}")).admitted()
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for Connected<S> {
    async fn next(&mut self) -> Result<Message, End> {
        loop {
            let (ping, idle) = (self.pinged + self.limits.ping, self.heard + self.limits.idle);
            let frame = tokio::select! {
                biased;
                frame = self.stream.next() => frame,
                () = sleep_until(ping.min(idle)) => {
                    if idle <= Instant::now() {
                        let limit = Limit::Idle(self.limits.idle);
                        let text = format!("nothing was heard for {} ms", self.limits.idle.as_millis());
                        return Err(End::Broken(Failure::new(Reason::Timeout(limit), text).admitted()));
                    }
                    self.pinged = Instant::now();
                    // Queued at once, so cancelling loses nothing; it leaves with the next poll.
                    if let Err(error) = self.stream.send(Frame::Ping(Bytes::new())).await {
                        return Err(End::Broken(failure(&error)));
                    }
                    continue;
                }
            };
            self.heard = Instant::now();
            match frame {
                Some(Ok(Frame::Text(text))) => return Ok(Message::Text(text.into())),
                Some(Ok(Frame::Binary(bytes))) => return Ok(Message::Binary(bytes)),
                Some(Ok(Frame::Close(frame))) => {
                    self.closed = true;
                    let (code, reason) = frame.map_or((NO_CODE, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Err(End::Closed(Closed { code, reason }));
                }
                Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {}
                Some(Err(error)) => return Err(End::Broken(failure(&error))),
                None => {
                    return Err(End::Broken(
                        Failure::new(Reason::Broken, "the connection was closed").admitted(),
                    ));
                }
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Failure> {
        let frame = match message {
            Message::Binary(bytes) => Frame::Binary(bytes),
            Message::Text(bytes) => Frame::Text(
                Utf8Bytes::try_from(bytes)
                    .map_err(|_| Failure::new(Reason::Invalid, "the text message is not UTF-8"))?,
            ),
        };
        let limit = self.limits.idle;
        match tokio::time::timeout(limit, self.stream.send(frame)).await {
            Ok(sent) => sent.map_err(|error| failure(&error)),
            Err(_) => Err(Failure::new(
                Reason::Timeout(Limit::Idle(limit)),
                format!("nothing was taken for {} ms", limit.as_millis()),
            )
            .admitted()),
        }
    }

    async fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.stream.close(None)).await;
        }
    }
}
