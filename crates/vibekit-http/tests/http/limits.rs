//! Every wait ends, and says which limit it was and whether the request can have arrived.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use vibekit_core::Admitted;
use vibekit_http::{Client, Failure, Limit, Limits, Method, Reason, Request, Settings, Transport};
use vibekit_testkit::doubles::faults::{Fault, FaultProxy};

use crate::support::{HELLO, SHORT, Server, get, patient, settings, within};

async fn failure(url: String, limits: Limits) -> Failure {
    let client = Client::new(&settings(&[])).unwrap();
    within(client.fetch(get(url).limits(limits))).await.unwrap_err()
}

#[tokio::test]
async fn for_a_connection() {
    // Nobody accepts, so that the queue of connections is full after a few.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, TcpStream::connect(addr)).await {
        waiting.push(connected.unwrap());
    }
    let client = Client::new(&Settings { connect: SHORT, ..settings(&[]) }).unwrap();
    let failure = within(client.fetch(get(format!("http://{addr}")).limits(patient()))).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Timeout(Limit::Connect(SHORT)), "{failure:?}");
    assert_eq!(failure.admitted, Admitted::No);
}

#[tokio::test]
async fn for_the_first_byte() {
    let server = Server::start(|stream, _| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let failure = failure(server.url(), Limits { first_byte: SHORT, ..patient() }).await;
    assert_eq!(
        (failure.reason, failure.admitted),
        (Reason::Timeout(Limit::FirstByte(SHORT)), Admitted::Unknown)
    );
    let error = failure.into_error("E2B");
    assert_eq!(error.details["limit"], serde_json::json!({ "name": "firstByte", "ms": 150 }));
    // The whole exchange has no more time than its beginning.
    let failure = self::failure(server.url(), Limits { total: Some(SHORT), ..patient() }).await;
    assert_eq!(failure.reason, Reason::Timeout(Limit::FirstByte(SHORT)));
}

#[tokio::test]
async fn for_silence_and_for_the_whole() {
    let server = Server::start(|mut stream, head| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhalf").await;
        while head.contains("/drips") {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if stream.write_all(b".").await.is_err() {
                return;
            }
        }
        std::future::pending().await
    })
    .await;
    let silent = failure(server.url(), Limits { idle: Some(SHORT), ..patient() }).await;
    assert_eq!((silent.reason, silent.admitted), (Reason::Timeout(Limit::Idle(SHORT)), Admitted::Yes));
    let url = format!("{}/drips", server.url());
    let limits = Limits { total: Some(4 * SHORT), idle: Some(Duration::from_secs(30)), ..patient() };
    let long = failure(url, limits).await;
    assert_eq!((long.reason, long.admitted), (Reason::Timeout(Limit::Total(4 * SHORT)), Admitted::Yes));
}

#[tokio::test]
async fn for_the_size_of_a_body() {
    let server = Server::saying(HELLO).await;
    let failure = failure(server.url(), Limits { body: 4, ..patient() }).await;
    assert_eq!((failure.reason, failure.admitted), (Reason::TooLarge, Admitted::Yes));
    let client = Client::new(&settings(&[])).unwrap();
    let request = get(server.url()).limits(Limits { body: 5, ..patient() });
    assert_eq!(within(client.fetch(request)).await.unwrap().body, "hello");
}

/// Streams that are watched by their readers.
#[tokio::test]
async fn none_where_none_is_asked_for() {
    let server = Server::start(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none").await;
        tokio::time::sleep(3 * SHORT).await;
        let _ = stream.write_all(b"two").await;
    })
    .await;
    let client = Client::new(&settings(&[])).unwrap();
    let limits = Limits { first_byte: Duration::from_secs(60), idle: None, total: None, ..Limits::default() };
    let mut answer = within(client.send(get(server.url()).limits(limits))).await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = within(answer.body.next()).await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    assert_eq!(whole, b"onetwo");
}

#[tokio::test]
async fn nobody_there_and_hung_up() {
    let gone = Server::saying(HELLO).await;
    let url = gone.url();
    drop(gone);
    let mut refused = failure(url.clone(), patient()).await;
    // The port is closed a moment after its task.
    while refused.reason != Reason::Connect {
        refused = failure(url.clone(), patient()).await;
    }
    assert_eq!(refused.admitted, Admitted::No);
    let server = Server::start(|stream, _| async move { drop(stream) }).await;
    let broken = failure(server.url(), patient()).await;
    assert_eq!((broken.reason, broken.admitted), (Reason::Broken, Admitted::Unknown));
    let nonsense = Server::saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(failure(nonsense.url(), patient()).await.reason, Reason::Broken);
    assert_eq!(failure("no URL".to_owned(), patient()).await.reason, Reason::Invalid);
}

/// An answer that is cut at each of its bytes.
#[tokio::test]
async fn a_cut_is_told_apart_by_what_was_there_before() {
    let server = Server::start(|mut stream, _| async move {
        // It stays open, as real ones do, until the client goes.
        let _ = stream.write_all(HELLO.as_bytes()).await;
        crate::support::head(&mut stream).await;
    })
    .await;
    let head = HELLO.len() - 5;
    for byte in 0..HELLO.len() {
        let cut = u64::try_from(byte).unwrap();
        let proxy = FaultProxy::start(server.addr, move |_| Fault::CutDown(cut)).await.unwrap();
        let failure = failure(proxy.url(), patient()).await;
        let admitted = if byte < head { Admitted::Unknown } else { Admitted::Yes };
        assert_eq!((failure.reason, failure.admitted), (Reason::Broken, admitted), "at {byte}: {failure:?}");
    }
    let proxy = FaultProxy::start(server.addr, |_| Fault::Pieces(1)).await.unwrap();
    let client = Client::new(&settings(&[])).unwrap();
    assert_eq!(within(client.fetch(get(proxy.url()))).await.unwrap().body, "hello");
}

/// One exchange in flight on each connection: a dead one stops nobody else.
#[tokio::test]
async fn every_exchange_has_a_connection() {
    let server = Server::start(|mut stream, head| async move {
        if head.starts_with("GET /stuck") {
            std::future::pending::<()>().await;
        }
        let _ = stream.write_all(HELLO.as_bytes()).await;
    })
    .await;
    let client = Client::new(&settings(&[])).unwrap();
    let stuck = client.fetch(get(format!("{}/stuck", server.url())));
    let mut stuck = std::pin::pin!(stuck);
    assert!(tokio::time::timeout(SHORT, &mut stuck).await.is_err());
    let request = Request::new(Method::POST, server.url()).body("text/plain", "x");
    assert_eq!(within(client.fetch(request)).await.unwrap().body, "hello");
    assert_eq!(server.connections(), 2);
}
