//! Proxies, as the environment names them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vibekit_core::{Admitted, Code};
use vibekit_http::{Client, Reason, Transport};

use crate::support::{HELLO, Server, get, patient, settings, within};

/// Only a proxy can know it.
const NAME: &str = "http://service.test/path?q=1";

#[tokio::test]
async fn a_proxy_is_asked_for_everything_but_loopback() {
    let (proxy, server) = (Server::saying(HELLO).await, Server::saying(HELLO).await);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let before = proxy.connections();
        let client = Client::new(&settings(&[(variable, proxy.url())])).unwrap();
        assert_eq!(within(client.fetch(get(NAME).limits(patient()))).await.unwrap().body, "hello");
        assert!(proxy.heads().last().unwrap().starts_with("GET http://service.test/path?q=1 HTTP/1.1\r\n"));
        within(client.fetch(get(server.url()))).await.unwrap();
        within(client.fetch(get(format!("http://localhost:{}", server.addr.port())))).await.unwrap();
        assert_eq!(proxy.connections(), before + 1, "{variable}");
    }
    // An empty one is none.
    let client = Client::new(&settings(&[("HTTP_PROXY", String::new())])).unwrap();
    within(client.fetch(get(server.url()))).await.unwrap();
}

/// `0.0.0.0` is this machine, and is not written like it.
#[tokio::test]
async fn what_is_excluded_goes_past_it() {
    let (proxy, server) = (Server::saying(HELLO).await, Server::saying(HELLO).await);
    let url = format!("http://0.0.0.0:{}", server.addr.port());
    let client = Client::new(&settings(&[("HTTP_PROXY", proxy.url())])).unwrap();
    within(client.fetch(get(&url))).await.unwrap();
    assert_eq!((proxy.connections(), server.connections()), (1, 0));
    for excluded in ["0.0.0.0", "example.com,0.0.0.0/8", "*"] {
        let before = server.connections();
        let variables = [("HTTP_PROXY", proxy.url()), ("NO_PROXY", excluded.to_owned())];
        let client = Client::new(&settings(&variables)).unwrap();
        within(client.fetch(get(&url))).await.unwrap();
        assert_eq!((proxy.connections(), server.connections()), (1, before + 1), "{excluded}");
    }
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let proxy =
        Server::saying("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://user:hunter22@{}", proxy.addr);
    let client = Client::new(&settings(&[("HTTPS_PROXY", url)])).unwrap();
    let failure = within(client.fetch(get("https://service.test/").limits(patient()))).await.unwrap_err();
    assert_eq!((failure.reason, failure.admitted), (Reason::Connect, Admitted::No), "{failure:?}");
    assert!(!format!("{failure:?}").contains("hunter22"), "{failure:?}");
    let head = proxy.heads().pop().unwrap();
    assert!(head.starts_with("CONNECT service.test:443 HTTP/1.1\r\n"), "{head}");
    let credentials = STANDARD.encode("user:hunter22");
    assert!(
        head.to_lowercase().contains(&format!("proxy-authorization: basic {}", credentials.to_lowercase())),
        "{head}"
    );
}

#[tokio::test]
async fn one_that_is_no_url_is_named_and_not_shown() {
    for variable in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        let error = Client::new(&settings(&[(variable, "http://user:hunter22@[".to_owned())])).err().unwrap();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidArgument, Some(variable)));
        assert!(!format!("{error:?}").contains("hunter22") && error.hint.is_some(), "{error:?}");
    }
}
