use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{Server, World, allowing, rest, soon, talk, text, until};
use crate::{Reason, UpstreamProxy, Via, sni, socks};

async fn connect(world: &World, authority: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let head = until(&mut stream, "\r\n\r\n").await;
    (stream, head)
}

/// The stream, and the code of the reply.
async fn socks(world: &World, request: &[u8]) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(world.socks).await.unwrap();
    stream.write_all(b"\x05\x02\x00\x02").await.unwrap();
    let mut method = [0; 2];
    soon(stream.read_exact(&mut method)).await.unwrap();
    assert_eq!(method, [5, 0]);
    stream.write_all(request).await.unwrap();
    let mut reply = [0; 10];
    soon(stream.read_exact(&mut reply)).await.unwrap();
    assert_eq!((reply[0], &reply[2..]), (5, &[0, 1, 0, 0, 0, 0, 0, 0][..]));
    (stream, reply[1])
}

/// Destinations that must not be reached, whichever way they are spelled.
const REFUSED: [(&[u8], u16); 16] = [
    (b"evil.test", 443),
    (b"allowed.com.evil.test", 443),
    (b"evilallowed.com", 443),
    (b"sub.allowed.com", 443),
    (b"0x7f.1", 80),
    (b"2130706433", 80),
    (b"0177.0.0.1", 80),
    (b"127.1", 80),
    (b"[::ffff:127.0.0.1]", 80),
    (b"127.0.0.1", 80),
    (b"localhost", 80),
    (b"0.0.0.0", 80),
    (b"169.254.169.254", 80),
    (b"[fd00:ec2::254]", 80),
    (b"allowed.com@evil.test", 443),
    (b"ssh.com", 2223),
];

#[tokio::test]
async fn connect_is_decided_like_a_direct_connection() {
    let victim = Server::silent([127, 0, 0, 1]).await;
    let world = allowing(&["allowed.com", "ssh.com:22"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"", b"tail", b"welcome", true).await;
    for name in ["allowed.com", "ssh.com", "evil.test", "localhost"] {
        world.name(name, &[&[server.address]]);
    }
    for (host, port) in REFUSED {
        let (stream, head) = connect(&world, &format!("{}:{port}", text(host))).await;
        assert!(
            head.starts_with("HTTP/1.1 403 ") || head.starts_with("HTTP/1.1 400 "),
            "{}: {head}",
            text(host)
        );
        rest(stream).await;
    }
    // The proxy itself, and a port of this host that happens to be open.
    for authority in [world.proxy.to_string(), world.socks.to_string(), victim.address.to_string()] {
        let (_, head) = connect(&world, &authority).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{authority}: {head}");
    }
    assert!(server.seen().is_empty() && victim.seen().is_empty());
    assert!(world.zone.asked.lock().unwrap().is_empty());

    // Permitted, and the hello must agree all the same.
    let (stream, head) = connect(&world, "ALLOWED.com.:443").await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    let hello = sni::build::hello("allowed.com");
    assert_eq!(text(&talk(stream, &[&hello[..], b"tail"].concat()).await), "welcome");
    assert_eq!(server.bytes(), [&hello[..], b"tail"].concat());
    let (stream, _) = connect(&world, "allowed.com:443").await;
    assert_eq!(talk(stream, &sni::build::hello("evil.test")).await, sni::ALERT_ACCESS_DENIED);
    let (stream, _) = connect(&world, "allowed.com:80").await;
    let answer = talk(stream, b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n").await;
    assert!(text(&answer).starts_with("HTTP/1.1 403 "));
    assert_eq!(server.bytes(), [&hello[..], b"tail"].concat());
    assert_eq!(
        world.reasons()[world.reasons().len() - 2..],
        [Reason::ServerNameMismatch, Reason::HostMismatch]
    );
    assert_eq!(world.denials().last().unwrap().via, Via::HttpProxy);
}

#[tokio::test]
async fn connect_needs_no_pause_after_the_head() {
    let world = allowing(&["ssh.com:22"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"hi ", b"early", b"bird", true).await;
    world.name("ssh.com", &[&[server.address]]);
    let stream = TcpStream::connect(world.proxy).await.unwrap();
    let answer = talk(stream, b"CONNECT ssh.com:22 HTTP/1.1\r\n\r\nearly").await;
    assert_eq!(text(&answer), "HTTP/1.1 200 Connection established\r\n\r\nhi bird");
}

#[tokio::test]
async fn a_name_with_a_nul_is_no_name() {
    let world = allowing(&["*.allowed.com"]).start().await;
    for bad in [&b"evil\0.allowed.com"[..], b"evil.test\0.allowed.com"] {
        let stream = TcpStream::connect(world.proxy).await.unwrap();
        let answer = talk(stream, &[b"CONNECT ", bad, b":443 HTTP/1.1\r\n\r\n"].concat()).await;
        assert!(text(&answer).starts_with("HTTP/1.1 400 "), "{}", text(&answer));
        assert_eq!(socks(&world, &socks::ask(bad, 443)).await.1, 2);
    }
    assert_eq!(world.denials().last().unwrap().destination, "evil.test\\x00.allowed.com");
    assert!(world.zone.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_proxy_takes_plain_requests_too() {
    let world = allowing(&["allowed.com"]).start().await;
    let server = Server::http([127, 0, 1, 1]).await;
    world.name("allowed.com", &[&[server.address]]);
    let ask = async |request: &str| {
        text(&talk(TcpStream::connect(world.proxy).await.unwrap(), request.as_bytes()).await)
    };
    let answer = ask("GET http://allowed.com/p HTTP/1.1\r\nHost: allowed.com\r\nProxy-Connection: keep-alive\r\n\r\nGET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    assert!(
        ask("GET http://allowed.com:8080/ HTTP/1.1\r\nHost: allowed.com:8080\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        ask("GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n").await.starts_with("HTTP/1.1 403 ")
    );
    assert!(
        ask("GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.starts_with("HTTP/1.1 403 ")
    );
    // Plain HTTP does not get to the port of TLS.
    assert!(
        ask("GET http://allowed.com:443/ HTTP/1.1\r\nHost: allowed.com:443\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 403 ")
    );
    assert!(ask("GET / HTTP/1.1\r\nHost: allowed.com\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert!(ask("hello\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(
        server.seen(),
        [
            "GET /p HTTP/1.1\r\nHost: allowed.com\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: allowed.com:8080\r\nConnection: close\r\n\r\n"
        ]
    );
}

#[tokio::test]
async fn socks_is_decided_like_a_direct_connection() {
    let local = Server::start([127, 0, 0, 1], b"model\n", b"", b"", false).await;
    let world = allowing(&["allowed.com", "ssh.com:22", &local.address.to_string()]).start().await;
    let server = Server::start([127, 0, 1, 1], b"", b"tail", b"welcome", true).await;
    for name in ["allowed.com", "ssh.com", "evil.test", "localhost"] {
        world.name(name, &[&[server.address]]);
    }
    for (host, port) in REFUSED {
        assert_eq!(socks(&world, &socks::ask(host, port)).await.1, 2, "{}", text(host));
    }
    assert_eq!(socks(&world, b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50").await.1, 2);
    let mapped = [&b"\x05\x01\x00\x04"[..], &[0; 10], b"\xff\xff\x7f\x00\x00\x01\x00\x50"].concat();
    assert_eq!(socks(&world, &mapped).await.1, 2);
    assert_eq!(socks(&world, b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50").await.1, 7);
    assert_eq!(socks(&world, b"\x05\x01\x00\x09\x7f\x00\x00\x01\x00\x50").await.1, 8);
    assert!(server.seen().is_empty() && world.zone.asked.lock().unwrap().is_empty());

    let (stream, code) = socks(&world, &socks::ask(b"Allowed.com", 443)).await;
    assert_eq!(code, 0);
    let hello = sni::build::hello("allowed.com");
    assert_eq!(text(&talk(stream, &[&hello[..], b"tail"].concat()).await), "welcome");
    let (stream, _) = socks(&world, &socks::ask(b"allowed.com", 443)).await;
    assert_eq!(talk(stream, &sni::build::hello("evil.test")).await, sni::ALERT_ACCESS_DENIED);

    // By address: the one that is listed, and one that stands for a name.
    let by_address = |ip: [u8; 4], port: u16| [&[5, 1, 0, 1][..], &ip, &port.to_be_bytes()].concat();
    let (mut stream, code) = socks(&world, &by_address([127, 0, 0, 1], local.address.port())).await;
    assert_eq!((code, &*until(&mut stream, "\n").await), (0, "model\n"));
    let stand_in = world.lookup("ssh.com", 1).await.1.unwrap().octets();
    let (stream, code) = socks(&world, &by_address(stand_in, 22)).await;
    assert_eq!((code, &*text(&talk(stream, b"tail").await)), (0, "welcome"));
    assert_eq!(socks(&world, &by_address(stand_in, 23)).await.1, 2);

    // Permitted, but there is nobody.
    world.name("allowed.com", &[&[]]);
    assert_eq!(socks(&world, &socks::ask(b"allowed.com", 443)).await.1, 4);
}

#[tokio::test]
async fn socks_speaks_version_5_without_passwords_only() {
    let world = allowing(&["allowed.com"]).start().await;
    let ask = async |bytes: &[u8]| talk(TcpStream::connect(world.socks).await.unwrap(), bytes).await;
    assert_eq!(ask(b"\x05\x01\x02").await, [5, 0xff]);
    assert_eq!(ask(b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00").await, b"");
    assert_eq!(ask(b"GET / HTTP/1.1\r\n\r\n").await, b"");
    assert_eq!(world.reasons(), [Reason::BadProxyRequest]);
}

#[tokio::test]
async fn an_upstream_proxy_is_asked_by_name() {
    let corporate =
        Server::start([127, 0, 0, 1], b"", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nbanner\n", false)
            .await;
    let near = Server::start([127, 0, 0, 1], b"near\n", b"", b"", false).await;
    let bypassing = Server::start([127, 0, 1, 1], b"direct\n", b"", b"", false).await;
    let mut setup = allowing(&["ssh.com:22", "near.com:22", &near.address.to_string()]);
    let url = format!("http://user:p%40ss@{}", corporate.address);
    setup.upstream = UpstreamProxy::from_values(&url, "near.com").unwrap();
    let world = setup.start().await;
    world.name("near.com", &[&[bypassing.address]]);

    let mut stream = world.connect_name("ssh.com", 22).await;
    assert_eq!(until(&mut stream, "\n").await, "banner\n");
    stream.write_all(b"to the server").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(text(&rest(stream).await), "<end>");
    assert_eq!(
        corporate.seen(),
        [
            "CONNECT ssh.com:22 HTTP/1.1\r\nHost: ssh.com:22\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\nto the server"
        ]
    );
    assert!(world.zone.asked.lock().unwrap().is_empty());

    // What is not public, and what is to bypass it, does not go there; what is not permitted goes nowhere.
    let (mut stream, _) = connect(&world, &near.address.to_string()).await;
    assert_eq!(until(&mut stream, "\n").await, "near\n");
    let mut stream = world.connect_name("near.com", 22).await;
    assert_eq!(until(&mut stream, "\n").await, "direct\n");
    assert!(connect(&world, "evil.test:22").await.1.starts_with("HTTP/1.1 403 "));
    assert_eq!(corporate.seen().len(), 1);
}

#[tokio::test]
async fn an_upstream_proxy_may_refuse() {
    let corporate = Server::start([127, 0, 0, 1], b"", b"\r\n\r\n", b"HTTP/1.1 407 Who\r\n\r\n", true).await;
    let mut setup = allowing(&["ssh.com:22"]);
    setup.upstream = UpstreamProxy::from_values(&corporate.address.to_string(), "").unwrap();
    let world = setup.start().await;
    let (stream, head) = connect(&world, "ssh.com:22").await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(text(&rest(stream).await).contains("the upstream proxy refused"));
    assert_eq!(world.reasons(), [Reason::UpstreamRefused]);
}
