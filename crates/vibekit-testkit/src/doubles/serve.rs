//! Doubles over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Query, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::double::{Answer, Ask, Double, Frame, Line};

/// More than any test sends.
const BODY: usize = 256 << 20;

/// How long a client may take to answer that a WebSocket is closed.
const LINGER: Duration = Duration::from_secs(60);

/// A double that listens on a port of loopback until it is dropped.
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a double on a free port of loopback.
///
/// # Errors
/// When nothing can be listened on.
pub async fn serve(double: Arc<dyn Double>) -> std::io::Result<Served> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(move |request: Request| handle(Arc::clone(&double), request));
    let task = tokio::spawn(async move {
        // It ends with the task.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Served { address, task })
}

async fn handle(double: Arc<dyn Double>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let query = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri)
        .map(|Query(query)| query)
        .unwrap_or_default();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let mut ask = Ask {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query,
        headers,
        body: bytes::Bytes::new(),
    };
    if parts.headers.contains_key(header::UPGRADE) {
        let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        double.log().push(&ask);
        let (send, outgoing) = mpsc::channel(16);
        let (incoming, receive) = mpsc::channel(16);
        return match double.socket(ask, Line { send, receive }) {
            Ok(()) => upgrade.max_message_size(BODY).on_upgrade(|socket| carry(socket, outgoing, incoming)),
            Err(answer) => answer.into_response(),
        };
    }
    match to_bytes(body, BODY).await {
        Ok(body) => ask.body = body,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    }
    // What tests ask is not what clients do.
    if !ask.path.starts_with("/double/") {
        double.log().push(&ask);
    }
    double.answer(ask).await.into_response()
}

async fn carry(mut socket: WebSocket, mut outgoing: mpsc::Receiver<Frame>, incoming: mpsc::Sender<Frame>) {
    loop {
        tokio::select! {
            frame = outgoing.recv() => {
                let message = match frame {
                    Some(Frame::Text(text)) => Message::Text(text.into()),
                    Some(Frame::Binary(bytes)) => Message::Binary(bytes),
                    Some(Frame::Close(code, reason)) => {
                        let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
                        // The answer to it, which a client gives that has read everything before. Hanging up earlier would take
                        // from a slow one what is on its way.
                        let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
                        let _ = tokio::time::timeout(LINGER, answered).await;
                        return;
                    }
                    Some(Frame::Cut) | None => return,
                };
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                let frame = match message {
                    Some(Ok(Message::Text(text))) => Frame::Text(text.to_string()),
                    Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                if incoming.send(frame).await.is_err() {
                    // Nobody listens to the client; what it says is dropped.
                    continue;
                }
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, self.content_type)], Body::from(self.body)).into_response()
    }
}
