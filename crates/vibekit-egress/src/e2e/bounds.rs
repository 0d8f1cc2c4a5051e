use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::world::{Server, allowing, rest, soon, until};
use crate::{Limits, Reason, sni};

#[tokio::test]
async fn without_a_gateway_nothing_gets_out() {
    let mut world = allowing(&["ssh.com:22"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"hi\n", b"", b"", false).await;
    world.name("ssh.com", &[&[server.address]]);
    let stand_in = world.lookup("ssh.com", 1).await.1.unwrap();
    let mut open = world.connect(stand_in, 22).await;
    until(&mut open, "\n").await;
    let at = open.peer_addr().unwrap();

    drop(world.gateway.take());
    // The open connection ends, and no new one begins.
    assert_eq!(rest(open).await, b"");
    soon(async {
        while TcpStream::connect(at).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(TcpStream::connect(world.proxy).await.is_err());
    assert!(TcpStream::connect(world.socks).await.is_err());
    assert!(TcpStream::connect(world.dns_tcp).await.is_err());
    assert_eq!(server.seen().iter().filter(|bytes| !bytes.is_empty()).count(), 0);
}

#[tokio::test]
async fn close_returns_when_everything_is_gone() {
    let mut world = allowing(&["ssh.com:22"]).start().await;
    let server = Server::start([127, 0, 1, 1], b"hi\n", b"", b"", false).await;
    world.name("ssh.com", &[&[server.address]]);
    let mut open = world.connect_name("ssh.com", 22).await;
    until(&mut open, "\n").await;
    let at = open.peer_addr().unwrap();
    soon(world.gateway.take().unwrap().close()).await;
    assert!(TcpStream::connect(at).await.is_err());
    assert!(TcpStream::connect(world.dns_tcp).await.is_err());
}

#[tokio::test]
async fn connections_are_counted_and_the_one_too_many_is_closed() {
    let mut setup = allowing(&["ssh.com:22"]);
    setup.limits = Limits { connections: 2, ..Limits::default() };
    let world = setup.start().await;
    let server = Server::start([127, 0, 1, 1], b"hi\n", b"", b"", false).await;
    world.name("ssh.com", &[&[server.address]]);
    let mut first = world.connect_name("ssh.com", 22).await;
    until(&mut first, "\n").await;
    let mut second = world.connect_name("ssh.com", 22).await;
    until(&mut second, "\n").await;
    assert_eq!(rest(world.connect_name("ssh.com", 22).await).await, b"");
    assert_eq!(world.gateway.as_ref().unwrap().counters().overflowed, 1);
    // An end makes room.
    first.shutdown().await.unwrap();
    rest(first).await;
    soon(async {
        loop {
            let mut third = world.connect_name("ssh.com", 22).await;
            if third.read_u8().await.is_ok() {
                break;
            }
        }
    })
    .await;
    let counters = world.gateway.as_ref().unwrap().counters();
    assert_eq!(counters.forwarded, 3);
    assert_eq!(counters.accepted, counters.forwarded + counters.overflowed);
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let mut setup = allowing(&["allowed.com"]);
    setup.limits.handshake = Duration::from_millis(100);
    let world = setup.start().await;
    let server = Server::silent([127, 0, 1, 1]).await;
    world.name("allowed.com", &[&[server.address]]);
    let mut half = world.connect_name("allowed.com", 443).await;
    half.write_all(&sni::build::hello("allowed.com")[..20]).await.unwrap();
    assert_eq!(rest(half).await, sni::ALERT_ACCESS_DENIED);
    let mut half = world.connect_name("allowed.com", 80).await;
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(rest(half).await.starts_with(b"HTTP/1.1 403 "));
    for door in [world.proxy, world.socks, world.dns_tcp] {
        assert_eq!(rest(TcpStream::connect(door).await.unwrap()).await, b"");
    }
    assert_eq!(world.reasons(), [Reason::Stalled, Reason::Stalled]);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_dead_destination_costs_no_more_than_the_limit() {
    let mut setup = allowing(&["ssh.com:22"]);
    setup.limits.connect = Duration::from_millis(200);
    let world = setup.start().await;
    // A listener whose queue is full does not answer.
    let listener = tokio::net::TcpSocket::new_v4().unwrap();
    listener.bind("127.0.1.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    world.name("ssh.com", &[&[address]]);
    assert_eq!(rest(world.connect_name("ssh.com", 22).await).await, b"");
    assert_eq!(world.reasons(), [Reason::Unreachable]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_data_arrives_whole_and_slow_readers_hold_fast_writers() {
    const SIZE: usize = 32 << 20;
    let world = allowing(&["ssh.com:22"]).start().await;
    let listener = TcpListener::bind("127.0.1.1:0").await.unwrap();
    world.name("ssh.com", &[&[listener.local_addr().unwrap()]]);
    let mut client = world.connect_name("ssh.com", 22).await;
    let (mut server, _) = soon(listener.accept()).await.unwrap();
    let block: Vec<u8> = (0..1 << 16).map(|n: u32| (n % 251) as u8).collect();

    // Nobody reads: the writer stops after what the kernel and one buffer take.
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(300), client.write(&block[sent % block.len()..])).await
    {
        sent += written.unwrap();
        assert!(sent < SIZE, "no back-pressure");
    }
    let writer = async {
        while sent < SIZE {
            sent += client.write(&block[sent % block.len()..]).await.unwrap();
        }
        client.shutdown().await.unwrap();
        sent
    };
    let reader = async {
        let (mut received, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            let length = server.read(&mut buffer).await.unwrap();
            if length == 0 {
                return received;
            }
            for &byte in &buffer[..length] {
                assert_eq!(byte, block[received % block.len()]);
                received += 1;
            }
        }
    };
    let (sent, received) = soon(async { tokio::join!(writer, reader) }).await;
    assert_eq!(sent, received);
}
