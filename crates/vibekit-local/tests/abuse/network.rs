//! Reaching the network.
//!
//! Each of these runs in a network namespace of its own, whose only way out ends in a second one where every address
//! is a listener of the test: it hears whatever gets out, and nothing goes further.

use serde_json::json;
use vibekit_sandbox::Stdin;

use crate::support::internet::{Internet, OWN, PUBLIC};
use crate::support::{Cage, World};

/// Addresses that are this machine, its neighbours, or tell a virtual machine its secrets [32, 33].
const NEVER: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "[fe80::1]",
    "[fd12:3456::1]",
    "224.0.0.1",
    "255.255.255.255",
    OWN,
];

/// Spelt for the sandbox's proxies, where a name can be given instead of an address.
const NAMES: &[&str] = &[
    "localhost",
    "localhost.",
    "LOCALHOST",
    "localhost.localdomain",
    "ip6-localhost",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "127.1",
    "0",
    "metadata.google.internal",
    "metadata.example",
    "private.example",
    "local.example",
    "own.example",
    "evil.test",
];

async fn reach_all(cage: &Cage, world: &Internet, allowed: bool) {
    let before = world.heard().len();
    let ports = [22, 53, 80, 443, 853, 8080];
    let targets: Vec<String> =
        NEVER.iter().flat_map(|host| ports.map(|port| format!("{host}:{port}"))).collect();
    let direct: Vec<&str> =
        ["tcp", "33", "allowed.example"].into_iter().chain(targets.iter().map(String::as_str)).collect();
    let report = cage.attack(&direct).await;
    report.never_shows(Internet::CANARY);
    let datagrams: Vec<&str> = [
        "udp",
        "33",
        "169.254.169.254:53",
        "8.8.8.8:53",
        "8.8.8.8:443",
        "127.0.0.1:123",
        "[2001:db8::1]:443",
    ]
    .into();
    cage.attack(&datagrams).await.never_shows(Internet::CANARY);
    if allowed {
        let names = NAMES.iter().flat_map(|name| [80, 443].map(|port| format!("{name}:{port}")));
        let targets: Vec<String> = names.chain(NEVER.iter().map(|host| format!("{host}:80"))).collect();
        let asked: Vec<&str> =
            ["proxy", "32"].into_iter().chain(targets.iter().map(String::as_str)).collect();
        cage.attack(&asked).await.never_shows(Internet::CANARY);
        let relayed: Vec<&str> =
            ["relay", "38"].into_iter().chain(targets.iter().map(String::as_str).take(12)).collect();
        cage.attack(&relayed).await.never_shows(Internet::CANARY);
    }
    let heard = world.heard().split_off(before);
    assert!(heard.is_empty(), "the world heard {heard:#?}");
}

/// Nothing at all [32, 33, 34].
async fn deny() {
    let internet = Internet::start();
    for network in [json!("deny"), json!({ "allow": [] })] {
        let world = World::new(json!({ "network": network }));
        let cage = world.cage().await;
        let report = cage
            .attack(&["tcp", "35", "allowed.example", &format!("{PUBLIC}:80"), &format!("{PUBLIC}:443")])
            .await;
        report.none_worked(35);
        reach_all(&cage, &internet, false).await;
        let report = cage.attack(&["dns", "34", "8.8.8.8", "secret.evil.test", "allowed.example"]).await;
        report.none_worked(34);
        cage.attack(&["proxy", "35", "allowed.example:80"]).await.none_worked(35);
        cage.kill().await;
    }
    assert!(internet.heard().is_empty(), "{:#?}", internet.heard());
    assert!(internet.asked().is_empty(), "{:#?}", internet.asked());
}
attack!(denied_is_denied in Internet, deny());

/// Only what is listed [32, 33, 35, 38].
async fn list() {
    let internet = Internet::start();
    let allow = [
        "allowed.example:80",
        "metadata.example",
        "private.example",
        "local.example",
        "own.example",
        "*.wild.example",
    ];
    let world = World::new(json!({ "network": { "allow": allow } }));
    let cage = world.cage().await;

    // The listed name is reached, or nothing below means anything.
    let report = cage.attack(&["dns", "0", "8.8.8.8", "allowed.example"]).await;
    let address = report.line("dns A allowed.example over udp").detail.clone();
    assert!(address.contains('.'), "{report:#?}");
    let through = cage.attack(&["tcp", "0", "allowed.example", &format!("{address}:80")]).await;
    assert!(through.lines()[0].detail.contains(Internet::CANARY), "{through:#?}");
    let through = cage.attack(&["proxy", "0", "allowed.example:80", "a.wild.example:80"]).await;
    for line in through.lines() {
        assert!(line.detail.contains(Internet::CANARY), "{line:?}");
    }
    assert!(
        internet.heard().iter().all(|heard| heard.at.ip().to_string() == PUBLIC),
        "{:#?}",
        internet.heard()
    );

    reach_all(&cage, &internet, true).await;

    // The address behind the listed name is not itself listed, nor are other names that lead there, nor other ports.
    let before = internet.heard().len();
    let direct = format!("{PUBLIC}:80");
    let report = cage
        .attack(&[
            "tcp",
            "35",
            "allowed.example",
            &direct,
            &format!("{PUBLIC}:443"),
            &format!("{address}:8080"),
            &format!("{address}:22"),
        ])
        .await;
    report.never_shows(Internet::CANARY);
    let report = cage
        .attack(&[
            "proxy",
            "36",
            &direct,
            "other.example:80",
            "evilallowed.example:80",
            "allowed.example.evil.test:80",
            "wild.example:80",
            "allowed.example@evil.test:80",
        ])
        .await;
    report.never_shows(Internet::CANARY);
    let host_header = cage.attack(&["tcp", "37", "evil.test", &format!("{address}:80")]).await;
    host_header.never_shows(Internet::CANARY);
    // The proxies do not lead to themselves.
    cage.attack(&["proxy", "38", "127.0.0.1:3128", "localhost:1080", "127.0.0.1:53"])
        .await
        .never_shows("HTTP/1.1 200");
    assert_eq!(internet.heard().len(), before, "{:#?}", internet.heard());
    cage.kill().await;
}
attack!(only_listed_hosts_are_reached in Internet, list());

/// The public internet, and nothing private [32, 33].
async fn public() {
    let internet = Internet::start();
    let world = World::new(json!({ "network": "allow" }));
    let cage = world.cage().await;
    let report = cage.attack(&["tcp", "0", "allowed.example", &format!("{PUBLIC}:80")]).await;
    assert!(report.lines()[0].detail.contains(Internet::CANARY), "{report:#?}");
    reach_all(&cage, &internet, true).await;
    cage.kill().await;
}
attack!(the_public_internet_is_not_this_machine in Internet, public());

/// Data in questions about names [34].
async fn names() {
    let internet = Internet::start();
    let world = World::new(json!({ "network": { "allow": ["allowed.example"] } }));
    let cage = world.cage().await;
    for server in ["8.8.8.8", "127.0.0.1", "10.255.255.53", "1.1.1.1"] {
        let report = cage
            .attack(&[
                "dns",
                "34",
                server,
                "secret.evil.test",
                "secret.allowed.example",
                "c2VjcmV0.evil.test",
            ])
            .await;
        report.none_worked(34);
    }
    // The listed name may be asked for; of its records only addresses come back, and not the real ones.
    let report = cage.attack(&["dns", "34", "8.8.8.8", "allowed.example"]).await;
    for kind in ["TXT", "ANY", "NULL", "MX"] {
        let line = report.line(&format!("dns {kind} allowed.example over udp"));
        assert!(!line.worked() || kind == "ANY", "{line:?}");
    }
    report.never_shows(PUBLIC);
    let over_tls = cage.attack(&["tcp", "34", "dns", "8.8.8.8:853", "1.1.1.1:443"]).await;
    over_tls.never_shows(Internet::CANARY);
    let asked = internet.asked();
    assert!(asked.iter().all(|name| name == "allowed.example"), "the world was asked for {asked:?}");
    assert!(internet.heard().is_empty(), "{:#?}", internet.heard());
    cage.kill().await;
}
attack!(questions_about_names_carry_nothing_out in Internet, names());

/// A name that leads somewhere else the second time [39].
async fn rebinding() {
    let internet = Internet::start();
    let world = World::new(json!({ "network": { "allow": ["rebind.example"] } }));
    let cage = world.cage().await;
    for _ in 0..6 {
        let _ = cage.attack(&["proxy", "39", "rebind.example:80"]).await;
    }
    let heard = internet.heard();
    assert!(!heard.is_empty(), "the first answer was a good one");
    assert!(heard.iter().all(|heard| heard.at.ip().to_string() == PUBLIC), "{heard:#?}");
    cage.kill().await;
}
attack!(a_name_cannot_turn_inwards in Internet, rebinding());

/// A port of another session, as it is reachable from this machine [38].
async fn neighbours() {
    let _internet = Internet::start();
    let world = World::new(json!({ "network": "allow" }));
    let (server, cage) = (world.cage().await, world.cage().await);
    let mut command = server.command(&["serve", "8123", "neighbours-secret"]);
    command.stdin = Stdin::Null;
    let mut serving = server.start(command).await;
    serving.first_line().await;
    let host = server.sandbox.host(8123).await.unwrap();
    let port = host.rsplit(':').next().unwrap().to_owned();
    let seen = tokio::task::spawn_blocking(move || Internet::get(&host)).await.unwrap();
    assert!(seen.contains("neighbours-secret"), "the port is not there: {seen:?}");
    let target = |host: &str| format!("{host}:{port}");
    let own = target(OWN);
    let (numeric, name, six) = (target("127.0.0.1"), target("localhost"), target("[::1]"));
    let report = cage.attack(&["tcp", "38", "localhost", &numeric, &six, &own]).await;
    report.never_shows("neighbours-secret");
    let report = cage.attack(&["proxy", "38", &numeric, &name, &six, &own]).await;
    report.never_shows("neighbours-secret");
    drop(serving);
    cage.kill().await;
    server.kill().await;
}
attack!(sessions_do_not_reach_each_others_ports in Internet, neighbours());
