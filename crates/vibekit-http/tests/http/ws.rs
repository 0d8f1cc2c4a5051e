//! WebSockets: every wait ends, and every end says what it was.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use vibekit_core::Admitted;
use vibekit_http::{
    Closed, End, Failure, Limit, Message, Opening, Reason, Socket, Sockets, StatusCode, WsClient, WsLimits,
    WsRequest, header,
};
use vibekit_testkit::doubles::tls::TlsFront;

use crate::support::{SHORT, Server, settings, within};

/// A server that sends back what it gets, and ends as a text asks it to.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(frame)) = socket.next().await {
                    match frame.to_text().unwrap_or_default() {
                        "close" => {
                            let frame = CloseFrame { code: 4401.into(), reason: "token expired".into() };
                            let _ = socket.close(Some(frame)).await;
                        }
                        "close without a word" => {
                            let _ = socket.close(None).await;
                        }
                        "drop" => return,
                        "large" => {
                            let _ = socket.send(Frame::Binary(vec![0; 5000].into())).await;
                        }
                        _ => {
                            let _ = socket.send(frame).await;
                        }
                    }
                }
            });
        }
    });
    addr
}

async fn open(client: &WsClient, request: WsRequest) -> Box<dyn Socket> {
    match within(client.open(request)).await.unwrap() {
        Opening::Open(socket) => socket,
        Opening::Refused(answer) => panic!("{answer:?}"),
    }
}

async fn failure(client: &WsClient, request: WsRequest) -> Failure {
    within(client.open(request)).await.err().unwrap()
}

fn text(text: &'static str) -> Message {
    Message::Text(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn messages_and_their_ends() {
    let addr = echo().await;
    let client = WsClient::new(&settings(&[])).unwrap();
    for scheme in ["ws", "http"] {
        let mut socket = open(&client, WsRequest::new(format!("{scheme}://{addr}/path"))).await;
        for message in [text("hello ✓"), Message::Binary(Bytes::from_static(&[0, 255]))] {
            within(socket.send(message.clone())).await.unwrap();
            assert_eq!(within(socket.next()).await.unwrap(), message);
        }
        within(socket.close()).await;
        within(socket.close()).await;
    }
    let ended = |word: &'static str| {
        let client = &client;
        async move {
            let limits = WsLimits { message: 1000, ..WsLimits::default() };
            let mut socket =
                open(client, WsRequest { limits, ..WsRequest::new(format!("ws://{addr}")) }).await;
            within(socket.send(text(word))).await.unwrap();
            within(socket.next()).await.unwrap_err()
        }
    };
    let closed = Closed { code: 4401, reason: "token expired".to_owned() };
    assert_eq!(ended("close").await, End::Closed(closed));
    assert_eq!(
        ended("close without a word").await,
        End::Closed(Closed { code: 1005, reason: String::new() })
    );
    for (word, reason) in [("drop", Reason::Broken), ("large", Reason::TooLarge)] {
        let End::Broken(failure) = ended(word).await else { panic!("{word}") };
        assert_eq!((failure.reason, failure.admitted), (reason, Admitted::Yes), "{word}");
    }
    // Text that is none does not leave.
    let mut socket = open(&client, WsRequest::new(format!("ws://{addr}"))).await;
    let failure = within(socket.send(Message::Text(Bytes::from_static(&[0xff])))).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Invalid);
}

#[tokio::test]
async fn a_token_that_is_refused() {
    let server = Server::start(|mut stream, head| async move {
        assert!(head.to_lowercase().contains("authorization: bearer wrong-token"), "{head}");
        let body = r#"{"message":"bad token"}"#;
        let answer = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let client = WsClient::new(&settings(&[])).unwrap();
    let request = WsRequest::new(server.url()).header(header::AUTHORIZATION, "Bearer wrong-token").unwrap();
    assert!(!format!("{request:?}").contains("wrong-token"), "{request:?}");
    let Opening::Refused(answer) = within(client.open(request)).await.unwrap() else { panic!("it opened") };
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json().unwrap()["message"], "bad token");
    let failure = WsRequest::new("ws://x").header(header::AUTHORIZATION, "a secret\n").err().unwrap();
    assert!(failure.reason == Reason::Invalid && !failure.message.contains("a secret"), "{failure:?}");
}

#[tokio::test]
async fn openings_have_limits() {
    let client = WsClient::new(&settings(&[])).unwrap();
    let silent = Server::start(|stream, _| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let limits = WsLimits { open: SHORT, ..WsLimits::default() };
    let late = failure(&client, WsRequest { limits, ..WsRequest::new(silent.url()) }).await;
    assert_eq!(late.reason, Reason::Timeout(Limit::FirstByte(SHORT)));
    let hangs_up = Server::start(|stream, _| async move { drop(stream) }).await;
    assert_eq!(failure(&client, WsRequest::new(hangs_up.url())).await.reason, Reason::Broken);
    let gone = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let refused = failure(&client, WsRequest::new(format!("ws://{gone}"))).await;
    assert_eq!((refused.reason, refused.admitted), (Reason::Connect, Admitted::No));
    assert_eq!(failure(&client, WsRequest::new("ws://")).await.reason, Reason::Invalid);
}

#[tokio::test]
async fn silence_ends_it() {
    // It takes the handshake, and answers nothing afterwards, not even pings.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _socket = accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
    });
    let client = WsClient::new(&settings(&[])).unwrap();
    let limits = WsLimits { ping: SHORT, idle: 3 * SHORT, ..WsLimits::default() };
    let mut socket = open(&client, WsRequest { limits, ..WsRequest::new(format!("ws://{addr}")) }).await;
    let End::Broken(failure) = within(socket.next()).await.unwrap_err() else { panic!("it was closed") };
    assert_eq!(failure.reason, Reason::Timeout(Limit::Idle(3 * SHORT)));
}

#[tokio::test]
async fn over_tls() {
    let front = TlsFront::start(echo().await).await.unwrap();
    let url = front.url().replacen("https", "wss", 1);
    let client = WsClient::new(&settings(&[])).unwrap();
    let unknown = failure(&client, WsRequest::new(&url)).await;
    assert_eq!((unknown.reason, unknown.admitted), (Reason::Tls, Admitted::No), "{unknown:?}");
    let bundle = front.authority().to_string_lossy().into_owned();
    let client = WsClient::new(&settings(&[("NODE_EXTRA_CA_CERTS", bundle)])).unwrap();
    let mut socket = open(&client, WsRequest::new(&url)).await;
    within(socket.send(text("safe"))).await.unwrap();
    assert_eq!(within(socket.next()).await.unwrap(), text("safe"));
}

/// `0.0.0.0` is this machine, and is not written like it.
#[tokio::test]
async fn through_a_proxy() {
    let addr = echo().await;
    let proxy = Server::start(move |mut client, head| async move {
        if head.contains("/refuse") || !head.starts_with(&format!("CONNECT 0.0.0.0:{} ", addr.port())) {
            let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
            return;
        }
        let mut server = TcpStream::connect(addr).await.unwrap();
        let _ = client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
        let _ = copy_bidirectional(&mut client, &mut server).await;
    })
    .await;
    let url = format!("http://user:hunter22@{}", proxy.addr);
    let client = WsClient::new(&settings(&[("HTTP_PROXY", url)])).unwrap();
    let mut socket = open(&client, WsRequest::new(format!("ws://0.0.0.0:{}", addr.port()))).await;
    within(socket.send(text("through"))).await.unwrap();
    assert_eq!(within(socket.next()).await.unwrap(), text("through"));
    assert!(proxy.heads()[0].contains("Proxy-Authorization: Basic "), "{:?}", proxy.heads());
    let refused = failure(&client, WsRequest::new("ws://0.0.0.0:9")).await;
    assert_eq!((refused.reason, refused.admitted), (Reason::Connect, Admitted::No), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter22"));
    // Loopback is not asked of it.
    let before = proxy.connections();
    open(&client, WsRequest::new(format!("ws://{addr}"))).await;
    assert_eq!(proxy.connections(), before);
}
