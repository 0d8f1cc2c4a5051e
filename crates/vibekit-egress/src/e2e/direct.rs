use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::world::{Server, allowing, rest, soon, talk, text, until};
use crate::{Network, Reason, Via, sni};

const ALERT: &[u8] = &sni::ALERT_ACCESS_DENIED;

#[tokio::test]
async fn real_tls_goes_through_untouched() {
    let world = allowing(&["allowed.com"]).start().await;
    let certified = rcgen::generate_simple_self_signed(["allowed.com".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.1.1:0").await.unwrap();
    world.name("allowed.com", &[&[listener.local_addr().unwrap()]]);
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
        let name = stream.get_ref().1.server_name().unwrap().to_owned();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        stream.write_all(b"reply to ").await.unwrap();
        stream.write_all(&got).await.unwrap();
        stream.shutdown().await.unwrap();
        name
    });

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = world.connect_name("allowed.com", 443).await;
    let name = ServerName::try_from("allowed.com").unwrap();
    let mut stream = soon(TlsConnector::from(Arc::new(client)).connect(name, stream)).await.unwrap();
    stream.write_all(b"question").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(text(&answer), "reply to question");
    assert_eq!(soon(serving).await.unwrap(), "allowed.com");
    assert!(world.denials().is_empty());
}

#[tokio::test]
async fn a_split_hello_is_put_together() {
    let world = allowing(&["allowed.com"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"", b"tail", b"welcome", true).await;
    world.name("allowed.com", &[&[server.address]]);
    let message = sni::build::message(&[sni::build::server_name(b"allowed.com")]);
    let hello = sni::build::records(&message, 17);
    let mut stream = world.connect_name("allowed.com", 443).await;
    stream.set_nodelay(true).unwrap();
    let (most, last) = hello.split_at(hello.len() - 1);
    for piece in most.chunks(3) {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    // Nothing is passed on before the whole hello was read and found to be for the right server.
    assert_eq!(server.bytes(), b"");
    stream.write_all(last).await.unwrap();
    assert_eq!(text(&talk(stream, b"tail").await), "welcome");
    assert_eq!(server.bytes(), [&hello[..], b"tail"].concat());
}

#[tokio::test]
async fn a_hello_for_anybody_else_is_refused() {
    let world = allowing(&["allowed.com", "other.com"]).start().await;
    let server = Server::silent([127, 0, 1, 1]).await;
    world.name("allowed.com", &[&[server.address]]);
    let hello = |extensions: &[Vec<u8>]| sni::build::records(&sni::build::message(extensions), 1 << 14);
    let name = sni::build::server_name(b"allowed.com");
    for (bytes, reason) in [
        (sni::build::hello("evil.test"), Reason::ServerNameMismatch),
        // Permitted for itself, but this connection is for another name.
        (sni::build::hello("other.com"), Reason::ServerNameMismatch),
        (sni::build::hello("127.0.0.1"), Reason::ServerNameMismatch),
        (hello(&[]), Reason::NoServerName),
        (hello(&[name.clone(), sni::build::extension(0xfe0d, &[0; 64])]), Reason::EncryptedHello),
        (hello(&[sni::build::extension(21, &vec![0; 60_000]), name]), Reason::Stalled),
        (b"GET / HTTP/1.1\r\nHost: allowed.com\r\n\r\n".to_vec(), Reason::NotTls),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), Reason::NotTls),
    ] {
        let answer = talk(world.connect_name("allowed.com", 443).await, &bytes).await;
        assert_eq!(answer, ALERT, "{reason:?}");
        assert_eq!(world.denials().last().unwrap().reason, reason);
    }
    assert!(server.seen().is_empty());
    assert!(world.zone.asked.lock().unwrap().is_empty());
    let denial = &world.denials()[0];
    assert_eq!((&*denial.destination, denial.port, denial.via), ("allowed.com", 443, Via::Direct));
}

#[tokio::test]
async fn http_requests_must_be_for_the_name() {
    let world = allowing(&["allowed.com"]).start().await;
    let server = Server::http([127, 0, 1, 1]).await;
    world.name("allowed.com", &[&[server.address]]);
    for (request, reason) in [
        ("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", Reason::HostMismatch),
        ("GET / HTTP/1.1\r\nHost: allowed.com:8080\r\n\r\n", Reason::HostMismatch),
        ("GET / HTTP/1.1\r\nHost: allowed.com@evil\r\n\r\n", Reason::HostMismatch),
        ("GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", Reason::HostMismatch),
        ("GET http://evil.test/ HTTP/1.1\r\nHost: allowed.com\r\n\r\n", Reason::NotHttp),
        ("GET http://allowed.com/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", Reason::NotHttp),
        ("GET / HTTP/1.1\r\nHost: allowed.com\r\nHost: evil.test\r\n\r\n", Reason::NotHttp),
        ("GET / HTTP/1.1\r\n\r\n", Reason::NotHttp),
        ("CONNECT evil.test:443 HTTP/1.1\r\nHost: allowed.com\r\n\r\n", Reason::NotHttp),
        (
            "POST / HTTP/1.1\r\nHost: allowed.com\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Reason::NotHttp,
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reason::NotHttp),
    ] {
        let answer = text(&talk(world.connect_name("allowed.com", 80).await, request.as_bytes()).await);
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{request:?}: {answer:?}");
        assert!(
            answer.contains(&format!("allowed.com:80 is not allowed: {}", reason.clause())),
            "{answer:?}"
        );
        assert_eq!(world.denials().last().unwrap().reason, reason, "{request:?}");
    }
    assert!(server.seen().is_empty());

    let stream = world.connect_name("allowed.com", 80).await;
    let answer =
        text(&talk(stream, b"GET http://Allowed.com/x HTTP/1.1\r\nHost: ALLOWED.com.\r\nA: b\r\n\r\n").await);
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert_eq!(server.seen(), ["GET /x HTTP/1.1\r\nHost: allowed.com\r\nA: b\r\nConnection: close\r\n\r\n"]);
}

#[tokio::test]
async fn a_second_request_never_follows_the_first() {
    let world = allowing(&["allowed.com"]).start().await;
    // A server that would read on for ever.
    let server = Server::start(
        [127, 0, 1, 1],
        b"",
        b"world",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
    )
    .await;
    world.name("allowed.com", &[&[server.address]]);
    let second = "GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    for (body, arrives) in [
        ("Content-Length: 10\r\n\r\nhelloworld", "Content-Length: 10\r\nConnection: close\r\n\r\nhelloworld"),
        (
            "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n5\r\nworld\r\n0\r\nT: v\r\n\r\n",
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
        ),
    ] {
        // At once, and after the answer.
        for at_once in [true, false] {
            let mut stream = world.connect_name("allowed.com", 80).await;
            let mut bytes = format!("POST /x HTTP/1.1\r\nHost: allowed.com\r\n{body}");
            if at_once {
                bytes.push_str(second);
            }
            stream.write_all(bytes.as_bytes()).await.unwrap();
            let answer = until(&mut stream, "\r\n\r\nok").await;
            assert!(answer.contains("Connection: close"), "{answer}");
            if !at_once {
                stream.write_all(second.as_bytes()).await.unwrap();
            }
            stream.shutdown().await.unwrap();
            assert_eq!(text(&rest(stream).await), "<end>");
            let seen = server.seen().pop().unwrap();
            assert_eq!(seen, format!("POST /x HTTP/1.1\r\nHost: allowed.com\r\n{arrives}"));
        }
    }
}

#[tokio::test]
async fn a_websocket_opens_when_the_server_agrees_and_not_before() {
    let world = allowing(&["allowed.com", "refusing.com"]).start().await;
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst";
    let agreeing = Server::start([127, 0, 1, 1], b"", b"\r\n\r\n", head.as_bytes(), false).await;
    let refusing = Server::start(
        [127, 0, 1, 2],
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno",
        false,
    )
    .await;
    world.name("allowed.com", &[&[agreeing.address]]);
    world.name("refusing.com", &[&[refusing.address]]);
    let ask = |name: &str| {
        format!("GET /w HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    };

    let mut stream = world.connect_name("allowed.com", 80).await;
    stream.write_all(ask("allowed.com").as_bytes()).await.unwrap();
    assert_eq!(until(&mut stream, "first").await, head);
    stream.write_all(b"frames").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(text(&rest(stream).await), "<end>");
    assert!(agreeing.seen()[0].ends_with("\r\n\r\nframes"));

    let mut stream = world.connect_name("refusing.com", 80).await;
    let evil = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    stream.write_all(format!("{}{evil}", ask("refusing.com")).as_bytes()).await.unwrap();
    assert!(until(&mut stream, "\r\n\r\nno").await.starts_with("HTTP/1.1 400 No\r\n"));
    stream.write_all(evil.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    rest(stream).await;
    assert!(refusing.seen()[0].ends_with("Upgrade: websocket\r\n\r\n"), "{:?}", refusing.seen());
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_body_does_not() {
    let world = allowing(&["allowed.com"]).start().await;
    let server = Server::start(
        [127, 0, 1, 1],
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig",
        true,
    )
    .await;
    world.name("allowed.com", &[&[server.address]]);
    let mut stream = world.connect_name("allowed.com", 80).await;
    stream
        .write_all(b"PUT / HTTP/1.1\r\nHost: allowed.com\r\nContent-Length: 100000000\r\n\r\nsome")
        .await
        .unwrap();
    let answer = until(&mut stream, "\r\n\r\nbig").await;
    assert!(answer.starts_with("HTTP/1.1 413 Too Large\r\n"));
}

#[tokio::test]
async fn other_ports_go_by_name_and_the_server_may_speak_first() {
    let world = allowing(&["git.com:22"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"SSH-2.0-server\r\n", b"", b"", false).await;
    world.name("git.com", &[&[server.address]]);
    let mut stream = world.connect_name("git.com", 22).await;
    assert_eq!(until(&mut stream, "\n").await, "SSH-2.0-server\r\n");
    // The end of one side leaves the other side open.
    stream.write_all(b"SSH-2.0-client\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(text(&rest(stream).await), "<end>");
    assert_eq!(server.seen(), ["SSH-2.0-client\r\n"]);
    // Another port of the same name is closed.
    assert_eq!(talk(world.connect_name("git.com", 2222).await, b"x").await, b"");
    assert_eq!(world.reasons(), [Reason::NotListed]);
}

#[tokio::test]
async fn addresses_are_reached_by_rules_for_addresses_only() {
    let local = Server::start([127, 0, 0, 1], b"model\n", b"", b"", false).await;
    let other = Server::silent([127, 0, 0, 1]).await;
    let rule = local.address.to_string();
    let world = allowing(&["allowed.com", &rule, "127.0.1.9:443"]).start().await;
    // Everything captured, nothing forwarded: metadata, loopback, own and foreign addresses.
    for (ip, port) in [
        ([127, 0, 0, 1], 80),
        ([127, 0, 0, 1], 443),
        ([127, 0, 0, 1], 22),
        ([127, 0, 1, 1], 443),
        ([127, 0, 1, 9], 80),
    ] {
        talk(world.connect(ip, port).await, b"x").await;
        assert_eq!(world.denials().last().unwrap().reason, Reason::NotListed, "{ip:?}:{port}");
    }
    // A stand-in that was never given.
    assert_eq!(talk(world.connect([127, 19, 7, 7], 443).await, b"x").await, ALERT);
    assert_eq!(world.denials().last().unwrap().reason, Reason::UnknownAddress);
    assert!(other.seen().is_empty() && local.seen().is_empty());
}

#[tokio::test]
async fn rebinding_does_not_help() {
    let world = allowing(&["allowed.com:22"]).start().await;
    let public = Server::start([127, 0, 1, 1], b"public\n", b"", b"", false).await;
    let victim = Server::start([127, 0, 0, 1], b"victim\n", b"", b"", false).await;
    world.name("allowed.com", &[&[public.address], &[victim.address], &[victim.address, public.address]]);
    let mut first = world.connect_name("allowed.com", 22).await;
    assert_eq!(until(&mut first, "\n").await, "public\n");
    // The second answer is this host.
    assert_eq!(rest(world.connect_name("allowed.com", 22).await).await, b"");
    assert_eq!(world.reasons(), [Reason::SpecialAddress]);
    // The third one has both, and only the public one counts.
    let mut third = world.connect_name("allowed.com", 22).await;
    assert_eq!(until(&mut third, "\n").await, "public\n");
    assert!(victim.seen().is_empty());
    // One lookup for each connection: what was looked at is what was connected to.
    assert_eq!(world.zone.asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn names_may_lead_to_addresses_that_are_listed_themselves() {
    let local = Server::start([127, 0, 0, 1], b"model\n", b"", b"", false).await;
    let world = allowing(&["model.lan:22", &local.address.to_string()]).start().await;
    world.name("model.lan", &[&[local.address]]);
    let mut stream = world.connect_name("model.lan", 22).await;
    assert_eq!(until(&mut stream, "\n").await, "model\n");
}

#[tokio::test]
async fn with_everything_public_open_private_is_closed() {
    let mut setup = allowing(&[]);
    setup.network = Network::Allow;
    let world = setup.start().await;
    let public = Server::start([127, 0, 1, 1], b"public\n", b"", b"", false).await;
    let victim = Server::silent([127, 0, 0, 1]).await;
    world.name("any.example.com", &[&[public.address]]);
    world.name("evil.example.com", &[&[victim.address]]);
    // Nothing to hold against the name, so port 443 takes what is not TLS, too.
    let mut stream = world.connect_name("any.example.com", 443).await;
    assert_eq!(until(&mut stream, "\n").await, "public\n");
    rest(world.connect_name("evil.example.com", 443).await).await;
    rest(world.connect([127, 0, 0, 1], 443).await).await;
    assert_eq!(world.reasons(), [Reason::SpecialAddress, Reason::SpecialAddress]);
    assert!(victim.seen().is_empty());
}

#[tokio::test]
async fn what_cannot_be_reached_says_so() {
    let world = allowing(&["allowed.com"]).start().await;
    let answer =
        talk(world.connect_name("allowed.com", 80).await, b"GET / HTTP/1.1\r\nHost: allowed.com\r\n\r\n")
            .await;
    assert!(text(&answer).starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{}", text(&answer));
    assert!(text(&answer).contains("could not be reached: the name has no address"));
    let dead = TcpListener::bind("127.0.1.1:0").await.unwrap().local_addr().unwrap();
    world.name("allowed.com", &[&[dead]]);
    let answer = talk(world.connect_name("allowed.com", 443).await, &sni::build::hello("allowed.com")).await;
    assert_eq!(answer, sni::ALERT_INTERNAL_ERROR);
    assert_eq!(world.reasons(), [Reason::Unresolved, Reason::Unreachable]);
    let counters = world.gateway.as_ref().unwrap().counters();
    assert_eq!((counters.failed, counters.denied, counters.forwarded), (2, 0, 0));
}
