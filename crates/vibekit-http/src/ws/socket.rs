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
    pinged: Instant,
    /// When it was pinged, if nothing has been heard since.
    asked: Option<Instant>,
    closed: bool,
}

impl<S> Connected<S> {
    pub(super) fn new(stream: WebSocketStream<S>, limits: WsLimits) -> Self {
        Self { stream, limits, pinged: Instant::now(), asked: None, closed: false }
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
            let WsLimits { ping, idle, .. } = self.limits;
            // Counted from a question, not from what was heard last: while nobody listened here nothing could be heard.
            let due = self.asked.map_or(self.pinged + ping, |asked| asked + idle.saturating_sub(ping));
            let frame = tokio::select! {
                biased;
                frame = self.stream.next() => frame,
                () = sleep_until(due) => {
                    if self.asked.is_some() {
                        let text = format!("nothing was heard for {} ms", idle.as_millis());
                        return Err(End::Broken(Failure::new(Reason::Timeout(Limit::Idle(idle)), text).admitted()));
                    }
                    self.pinged = Instant::now();
                    self.asked = Some(self.pinged);
                    // Queued at once, so cancelling loses nothing; it leaves with the next poll.
                    if let Err(error) = self.stream.send(Frame::Ping(Bytes::new())).await {
                        return Err(End::Broken(failure(&error)));
                    }
                    continue;
                }
            };
            self.asked = None;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair() -> (Connected<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = duplex(1 << 16);
        let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        (Connected::new(near, WsLimits::default()), far)
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_answers_nothing_counts_as_gone() {
        let (mut near, _far) = pair().await;
        let begin = Instant::now();
        let Err(End::Broken(failure)) = near.next().await else { panic!("no end") };
        assert_eq!(failure.reason, Reason::Timeout(Limit::Idle(Duration::from_secs(60))));
        assert_eq!(begin.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_answers_pings_does_not() {
        let (mut near, mut far) = pair().await;
        let answering = tokio::spawn(async move {
            let pinged = matches!(far.next().await, Some(Ok(Frame::Ping(_))));
            // The answer leaves with the next of what is sent or read.
            let _ = tokio::time::timeout(Duration::from_secs(50), far.next()).await;
            let _ = far.send(Frame::Binary(Bytes::from_static(b"late"))).await;
            (pinged, far)
        });
        assert_eq!(near.next().await, Ok(Message::Binary(Bytes::from_static(b"late"))));
        assert!(answering.await.is_ok_and(|(pinged, _)| pinged));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_no_silence_while_nobody_listens() {
        let (mut near, mut far) = pair().await;
        for away in [59, 61, 3600] {
            // Whoever takes messages has other things to do; then it asks, and gets its time to answer.
            tokio::time::sleep(Duration::from_secs(away)).await;
            let answering = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                let _ = far.send(Frame::Binary(Bytes::from_static(b"here"))).await;
                far
            });
            assert_eq!(near.next().await, Ok(Message::Binary(Bytes::from_static(b"here"))), "{away}");
            far = answering.await.expect("no panic");
        }
    }
}
