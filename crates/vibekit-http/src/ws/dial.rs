use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Uri, header};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::Request as Handshake;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use vibekit_core::Result;

use super::socket::Connected;
use super::{Opening, Sockets, WsRequest};
use crate::{Failure, Limit, Reason, Response, Settings, tls};

/// The real one. A connection for each socket; there is no pool, as there is none for WebSockets.
pub struct WsClient {
    tls: Arc<ClientConfig>,
    proxies: Matcher,
    user_agent: String,
    connect: Duration,
}

/// A proxy's answer to CONNECT is a few lines.
const HEAD: usize = 16 << 10;

impl WsClient {
    /// From the same settings as the HTTP client.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` that names the environment variable at fault.
    pub fn new(settings: &Settings) -> Result<Self> {
        let mut proxies = Matcher::builder();
        if let Some(excluded) = settings.excluded() {
            let proxy = |name| settings.variable(name).unwrap_or_default();
            proxies = proxies
                .all(proxy("ALL_PROXY"))
                .http(proxy("HTTP_PROXY"))
                .https(proxy("HTTPS_PROXY"))
                .no(excluded);
        }
        Ok(Self {
            tls: Arc::new(tls::client_config(settings)?),
            proxies: proxies.build(),
            user_agent: settings.user_agent.clone(),
            connect: settings.connect,
        })
    }

    async fn handshake(&self, request: &WsRequest) -> Result<Opening, Failure> {
        let invalid = |problem: &str| Failure::new(Reason::Invalid, format!("cannot be asked: {problem}"));
        // What HTTP calls them, for the proxies' rules; the other way around for the handshake.
        let url = request.url.replacen("ws", "http", usize::from(request.url.starts_with("ws")));
        let uri: Uri = url.parse().map_err(|_| invalid("the URL is none"))?;
        let host = uri.host().ok_or_else(|| invalid("the URL has no host"))?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let stream = match tokio::time::timeout(self.connect, self.stream(&uri, host, port)).await {
            Ok(stream) => stream?,
            Err(_) => {
                return Err(Failure::new(
                    Reason::Timeout(Limit::Connect(self.connect)),
                    format!("no connection within {} ms", self.connect.as_millis()),
                ));
            }
        };
        let mut asked = url
            .replacen("http", "ws", 1)
            .into_client_request()
            .map_err(|_| invalid("the URL is none of a WebSocket"))?;
        for (name, value) in &request.headers {
            asked.headers_mut().append(name, value.clone());
        }
        if let Ok(agent) = HeaderValue::from_str(&self.user_agent) {
            asked.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        }
        if uri.scheme_str() != Some("https") {
            return upgrade(asked, stream, request).await;
        }
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|_| invalid("the host has no name a certificate could be for"))?;
        let stream =
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(|error| {
                let reason = if tls::is_tls(&error) { Reason::Tls } else { Reason::Connect };
                Failure::new(reason, format!("cannot connect: {error}"))
            })?;
        upgrade(asked, stream, request).await
    }

    async fn stream(&self, uri: &Uri, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let Some(proxy) = self.proxies.intercept(uri) else {
            return dial(host, port).await;
        };
        let tunnel = proxy.uri();
        if tunnel.scheme_str() == Some("https") {
            return Err(Failure::new(
                Reason::Invalid,
                "a proxy that is itself reached over TLS is not supported for WebSockets",
            ));
        }
        let name = tunnel.host().unwrap_or_default();
        let stream = dial(name, tunnel.port_u16().unwrap_or(80)).await?;
        connect_through(stream, &proxy, host, port).await
    }
}

/// The handshake of RFC 6455 over a connection.
async fn upgrade<S>(asked: Handshake, stream: S, request: &WsRequest) -> Result<Opening, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(request.limits.message))
        .max_frame_size(Some(request.limits.message));
    match client_async_with_config(asked, stream, Some(config)).await {
        Ok((stream, _)) => Ok(Opening::Open(Box::new(Connected::new(stream, request.limits)))),
        Err(WsError::Http(answer)) => {
            let (parts, body) = answer.into_parts();
            let body = body.unwrap_or_default().into();
            Ok(Opening::Refused(Response { status: parts.status, headers: parts.headers, body }))
        }
        Err(error) => Err(Failure::new(Reason::Broken, format!("the handshake broke off: {error}"))),
    }
}

/// IPv6 addresses stand in brackets in URLs only.
async fn dial(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| Failure::new(Reason::Connect, format!("cannot connect: {error}")))?;
    // Without it small messages wait for the acknowledgement of the ones before. Nothing is lost if it is refused.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// RFC 9110, section 9.3.6.
async fn connect_through(
    mut stream: TcpStream,
    proxy: &Intercept,
    host: &str,
    port: u16,
) -> Result<TcpStream, Failure> {
    let broken = |error: std::io::Error| Failure::new(Reason::Connect, format!("the proxy hung up: {error}"));
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(credentials) = proxy.basic_auth() {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(credentials.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    stream.write_all(&ask).await.map_err(broken)?;
    let mut head = Vec::new();
    // One byte at a time: what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Err(Failure::new(Reason::Connect, "the proxy's answer has no end"));
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    let status = head.split(|byte| *byte == b' ').nth(1).and_then(|status| std::str::from_utf8(status).ok());
    match status {
        Some("200") => Ok(stream),
        status => Err(Failure::new(
            Reason::Connect,
            format!("the proxy refused the way to the service (status {})", status.unwrap_or("unknown")),
        )),
    }
}

#[async_trait]
impl Sockets for WsClient {
    async fn open(&self, request: WsRequest) -> Result<Opening, Failure> {
        let limit = request.limits.open;
        tokio::time::timeout(limit, self.handshake(&request)).await.unwrap_or_else(|_| {
            Err(Failure::new(
                Reason::Timeout(Limit::FirstByte(limit)),
                format!("no answer within {} ms", limit.as_millis()),
            ))
        })
    }
}
