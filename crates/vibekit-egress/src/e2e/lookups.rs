use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{allowing, soon, unpack};
use crate::{Network, Reason, Via, dns};

#[tokio::test]
async fn permitted_names_get_an_address_and_nobody_is_asked() {
    let world = allowing(&["allowed.com", "*.wild.com"]).start().await;
    let (code, address) = world.lookup("Allowed.COM", 1).await;
    let address = address.unwrap();
    assert_eq!((code, address.octets()[0]), (0, 127));
    assert!((18..=19).contains(&address.octets()[1]));
    assert_eq!(world.lookup("allowed.com", 1).await.1, Some(address));
    assert_ne!(world.lookup("a.wild.com", 1).await.1, Some(address));
    // IPv6, TXT, HTTPS, ANY: the name exists, without any of these.
    for kind in [28, 16, 65, 255] {
        assert_eq!(world.lookup("allowed.com", kind).await, (0, None), "{kind}");
    }
    for name in [
        "secret.evil.test",
        "wild.com",
        "allowed.com.evil.test",
        "evilallowed.com",
        "2130706433",
        "localhost",
    ] {
        for kind in [1, 16, 255] {
            assert_eq!(world.lookup(name, kind).await, (3, None), "{name}");
        }
    }
    assert!(world.zone.asked.lock().unwrap().is_empty());
    let denial = &world.denials()[0];
    assert_eq!(
        (&*denial.destination, denial.via, denial.reason, denial.count),
        ("secret.evil.test", Via::Dns, Reason::NotListed, 3)
    );
    assert_eq!(world.gateway.as_ref().unwrap().counters().lookups, 25);
}

#[tokio::test]
async fn lookups_work_over_tcp_too_one_after_the_other() {
    let world = allowing(&["allowed.com"]).start().await;
    let mut stream = TcpStream::connect(world.dns_tcp).await.unwrap();
    for (name, code) in [("allowed.com", 0), ("evil.test", 3), ("allowed.com", 0)] {
        let question = dns::question(name.as_bytes(), 1);
        let message = [&u16::try_from(question.len()).unwrap().to_be_bytes(), &question[..]].concat();
        let (first, second) = message.split_at(9);
        stream.write_all(first).await.unwrap();
        stream.write_all(second).await.unwrap();
        let mut reply = vec![0; soon(stream.read_u16()).await.unwrap().into()];
        soon(stream.read_exact(&mut reply)).await.unwrap();
        assert_eq!(unpack(&reply).0, code, "{name}");
    }
    assert!(world.zone.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn open_is_open_for_public_names_only() {
    let mut setup = allowing(&[]);
    setup.network = Network::Allow;
    let world = setup.start().await;
    assert!(world.lookup("anything.example.com", 1).await.1.is_some());
    for name in ["localhost", "metadata.google.internal", "db", "x.local"] {
        assert_eq!(world.lookup(name, 1).await, (3, None), "{name}");
    }
    assert!(world.zone.asked.lock().unwrap().is_empty());
}
