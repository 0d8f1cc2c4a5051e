//! One accepted connection: find out whom it is for, decide, connect, copy.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::buffered::{Buffered, ReadError, within};
use crate::gateway::Shared;
use crate::host::{Host, Name};
use crate::http::{self, HttpError, Target};
use crate::sni::{self, HelloError};
use crate::socks::{self, Reply, SocksError};
use crate::{PROXY_PORT, Reason, SOCKS_PORT, Via, dial, lookup, web};

/// The socket a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Captured(u16),
    Dns,
    HttpProxy,
    Socks,
}

impl Door {
    /// What the door is for a connection to this address. The proxies' sockets take every address, and only a
    /// loopback address means the proxy: a destination outside may have something else on its port.
    fn at(self, ip: IpAddr) -> Self {
        match self {
            Self::HttpProxy if !ip.is_loopback() => Self::Captured(PROXY_PORT),
            Self::Socks if !ip.is_loopback() => Self::Captured(SOCKS_PORT),
            door => door,
        }
    }
}

const TLS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

pub(crate) async fn serve(shared: &Shared, door: Door, stream: TcpStream) {
    // Fails only when the peer is gone already.
    let Ok(ip) = dial::destination(&stream) else { return };
    let _ = stream.set_nodelay(true);
    let client = Buffered::new(stream);
    match door.at(ip) {
        Door::Captured(port) => direct(shared, client, ip, port).await,
        Door::Dns => lookup::serve_tcp(shared, client).await,
        Door::HttpProxy => http_proxy(shared, client).await,
        Door::Socks => socks(shared, client).await,
    }
}

/// A destination as it was asked for, and by which door: what is noted when it does not get through.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) host: Host,
    pub(crate) port: u16,
    via: Via,
}

/// What the client's own words must confirm before a connection to a name counts as one.
#[derive(Debug)]
pub(crate) enum Check {
    /// Nothing: it is for an address, for another port, or every public name is open.
    Nothing,
    /// The TLS hello names the server.
    Hello(Name),
    /// The HTTP request names the host.
    Request,
}

impl<'a> Attempt<'a> {
    /// Takes up a destination, and decides whether it is permitted.
    fn new(shared: &'a Shared, host: Host, port: u16, via: Via) -> (Self, Result<Check, Reason>) {
        match shared.meaning(host.clone()) {
            Ok(host) => {
                let attempt = Self { shared, host, port, via };
                let check = attempt.decide();
                (attempt, check)
            }
            Err(reason) => (Self { shared, host, port, via }, Err(reason)),
        }
    }

    fn decide(&self) -> Result<Check, Reason> {
        let policy = &self.shared.policy;
        match &self.host {
            Host::Ip(ip) => policy.check_address(*ip, self.port).map(|()| Check::Nothing),
            Host::Name(name) => {
                policy.check_name(name, self.port)?;
                Ok(match self.port {
                    TLS_PORT if policy.verifies() => Check::Hello(name.clone()),
                    HTTP_PORT if policy.verifies() => Check::Request,
                    _ => Check::Nothing,
                })
            }
        }
    }

    pub(crate) async fn dial(&self) -> Result<Buffered, Reason> {
        self.shared.dialer.dial(&self.host, self.port).await
    }

    pub(crate) fn note(&self, reason: Reason) {
        self.shared.note(self.host.to_string().as_bytes(), self.port, self.via, reason);
    }

    /// Notes the reason, and says it in a sentence.
    pub(crate) fn note_and_tell(&self, reason: Reason) -> String {
        self.note(reason);
        let what = if reason.is_failure() { "could not be reached" } else { "is not allowed" };
        format!("{}:{} {what}: {}", self.host, self.port, reason.clause())
    }

    /// Holds the client's words against the decision, connects unless that was done before, and copies.
    async fn forward(&self, client: Buffered, upstream: Option<Buffered>, check: Check) {
        match check {
            Check::Nothing => match self.connected(upstream).await {
                Ok(upstream) => self.relay(client, upstream).await,
                Err(reason) => self.note(reason),
            },
            Check::Hello(name) => self.forward_tls(client, upstream, &name).await,
            Check::Request => web::forward(self, client, upstream, None).await,
        }
    }

    async fn forward_tls(&self, mut client: Buffered, upstream: Option<Buffered>, name: &Name) {
        let verdict = within(self.shared.handshake, read_hello(&mut client)).await;
        let reason = match verdict.unwrap_or(Err(Some(Reason::Stalled))) {
            Err(None) => return,
            Err(Some(reason)) => reason,
            Ok(hello) if hello.encrypted => Reason::EncryptedHello,
            Ok(sni::Hello { server_name: None, .. }) => Reason::NoServerName,
            Ok(sni::Hello { server_name: Some(said), .. }) if said != *name => Reason::ServerNameMismatch,
            Ok(_) => match self.connected(upstream).await {
                Ok(upstream) => return self.relay(client, upstream).await,
                Err(reason) => reason,
            },
        };
        self.note(reason);
        client.farewell(tls_alert(reason)).await;
    }

    pub(crate) async fn connected(&self, upstream: Option<Buffered>) -> Result<Buffered, Reason> {
        match upstream {
            Some(upstream) => Ok(upstream),
            None => self.dial().await,
        }
    }

    async fn relay(&self, client: Buffered, upstream: Buffered) {
        self.shared.counts.forwarded.fetch_add(1, Relaxed);
        // Whatever broke is the business of the two ends, and they have seen it.
        let _ = client.relay(upstream).await;
    }
}

fn tls_alert(reason: Reason) -> &'static [u8] {
    if reason.is_failure() { &sni::ALERT_INTERNAL_ERROR } else { &sni::ALERT_ACCESS_DENIED }
}

/// `Err(None)`: the client went away without a word, which is no attempt.
async fn read_hello(client: &mut Buffered) -> Result<sni::Hello, Option<Reason>> {
    let parse = |bytes: &[u8]| sni::parse(bytes).map(|hello| hello.map(|hello| (hello, 0)));
    client.read(sni::MAX_BYTES, parse).await.map_err(|error| match error {
        ReadError::Ended => None,
        ReadError::TooLong | ReadError::Parse(HelloError::TooLong) => Some(Reason::Stalled),
        ReadError::Parse(HelloError::ServerName) => Some(Reason::ServerNameMismatch),
        ReadError::Parse(HelloError::NotTls | HelloError::Malformed) => Some(Reason::NotTls),
    })
}

/// A connection to a captured port: the client believes to be connected to its destination.
async fn direct(shared: &Shared, client: Buffered, ip: IpAddr, port: u16) {
    let (attempt, decision) = Attempt::new(shared, Host::Ip(ip), port, Via::Direct);
    match decision {
        Ok(check) => attempt.forward(client, None, check).await,
        // Say why in the language that is most likely spoken here.
        Err(reason) => match port {
            TLS_PORT => {
                attempt.note(reason);
                client.farewell(tls_alert(reason)).await;
            }
            HTTP_PORT => client.farewell(&web::refusal(&attempt, reason)).await,
            _ => attempt.note(reason),
        },
    }
}

async fn http_proxy(shared: &Shared, mut client: Buffered) {
    let request = within(shared.handshake, client.read(http::MAX_HEAD, http::request)).await;
    let refuse = |sentence: &str| http::refusal("400 Bad Request", sentence);
    let request = match request {
        Some(Ok(request)) => request,
        None | Some(Err(ReadError::Ended)) => return,
        Some(Err(error)) => {
            let (reason, why) = match error {
                ReadError::Parse(HttpError::Host(error)) => (Reason::BadHost, format!("The host {error}")),
                _ => (Reason::BadProxyRequest, "The request is not one for an HTTP/1 proxy".to_owned()),
            };
            shared.note(b"", 0, Via::HttpProxy, reason);
            return client.farewell(&refuse(&why)).await;
        }
    };
    let host = request.authority.host.clone();
    let port = request.authority.port.unwrap_or(HTTP_PORT);
    let (attempt, decision) = Attempt::new(shared, host, port, Via::HttpProxy);
    let check = match (&request.target, decision) {
        (Target::Origin, _) => {
            attempt.note(Reason::BadProxyRequest);
            return client.farewell(&refuse("This is a proxy, not a server")).await;
        }
        // Plain HTTP where only TLS is let through.
        (Target::Absolute, Ok(Check::Hello(_))) => Err(Reason::NotTls),
        (_, decision) => decision,
    };
    let check = match check {
        Ok(check) => check,
        Err(reason) => return client.farewell(&web::refusal(&attempt, reason)).await,
    };
    if request.target == Target::Absolute {
        return web::forward(&attempt, client, None, Some(request)).await;
    }
    match attempt.dial().await {
        Err(reason) => client.farewell(&web::refusal(&attempt, reason)).await,
        Ok(upstream) => {
            if client.stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
                attempt.forward(client, Some(upstream), check).await;
            }
        }
    }
}

async fn socks(shared: &Shared, mut client: Buffered) {
    let Some(Some(request)) = within(shared.handshake, socks_request(shared, &mut client)).await else {
        return;
    };
    let host = match request.host {
        Ok(host) => host,
        Err(name) => {
            shared.note(&name, request.port, Via::Socks, Reason::BadHost);
            return client.farewell(&Reply::NotAllowed.message()).await;
        }
    };
    let (attempt, decision) = Attempt::new(shared, host, request.port, Via::Socks);
    let connected = match decision {
        Ok(check) => attempt.dial().await.map(|upstream| (upstream, check)),
        Err(reason) => Err(reason),
    };
    match connected {
        Ok((upstream, check)) => {
            if client.stream.write_all(&Reply::Succeeded.message()).await.is_ok() {
                attempt.forward(client, Some(upstream), check).await;
            }
        }
        Err(reason) => {
            attempt.note(reason);
            let reply = if reason.is_failure() { Reply::HostUnreachable } else { Reply::NotAllowed };
            client.farewell(&reply.message()).await;
        }
    }
}

/// Greeting and request. `None`: there is nobody to talk to any more, or nothing to talk about.
async fn socks_request(shared: &Shared, client: &mut Buffered) -> Option<socks::Request> {
    let bad = || shared.note(b"", 0, Via::Socks, Reason::BadProxyRequest);
    match client.read(socks::MAX_MESSAGE, socks::greeting).await {
        Ok(true) => client.stream.write_all(&socks::NO_AUTHENTICATION).await.ok()?,
        Ok(false) => {
            bad();
            let _ = client.stream.write_all(&socks::NO_ACCEPTABLE_METHOD).await;
            return None;
        }
        Err(ReadError::Ended) => return None,
        Err(_) => {
            bad();
            return None;
        }
    }
    match client.read(socks::MAX_MESSAGE, socks::request).await {
        Ok(request) => Some(request),
        Err(ReadError::Ended) => None,
        Err(error) => {
            bad();
            if let ReadError::Parse(SocksError::Reply(reply)) = error {
                let _ = client.stream.write_all(&reply.message()).await;
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_are_at_loopback_addresses_only() {
        let (here, v6, there) = (
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            IpAddr::from([198, 18, 0, 1]),
        );
        for ip in [here, v6] {
            assert_eq!(Door::HttpProxy.at(ip), Door::HttpProxy);
            assert_eq!(Door::Socks.at(ip), Door::Socks);
        }
        assert_eq!(Door::HttpProxy.at(there), Door::Captured(3128));
        assert_eq!(Door::Socks.at(there), Door::Captured(1080));
        assert_eq!(Door::Captured(443).at(here), Door::Captured(443));
        assert_eq!(Door::Dns.at(there), Door::Dns);
    }
}
