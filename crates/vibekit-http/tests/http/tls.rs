//! Who the other side is: certificate authorities of the environment, and what a wrong one is called.

use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;
use vibekit_core::{Admitted, Code};
use vibekit_http::{Client, Reason, Settings, Transport};
use vibekit_testkit::doubles::tls::TlsFront;

use crate::support::{HELLO, Server, get, patient, settings, within};

#[tokio::test]
async fn an_authority_of_the_environment_is_trusted_and_no_other() {
    let server = Server::saying(HELLO).await;
    let (front, other) =
        (TlsFront::start(server.addr).await.unwrap(), TlsFront::start(server.addr).await.unwrap());
    let bundle = front.authority().to_string_lossy().into_owned();
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        let client = Client::new(&settings(&[(variable, bundle.clone())])).unwrap();
        assert_eq!(within(client.fetch(get(front.url()).limits(patient()))).await.unwrap().body, "hello");
        // Somebody else's certificate, and the right one under a name it is not for.
        for url in [other.url(), format!("https://127.0.0.1:{}", front.addr().port())] {
            let failure = within(client.fetch(get(url).limits(patient()))).await.unwrap_err();
            assert_eq!((failure.reason, failure.admitted), (Reason::Tls, Admitted::No), "{failure:?}");
            let error = failure.into_error("E2B");
            assert!(!error.retryable && error.hint.unwrap().contains("NODE_EXTRA_CA_CERTS"));
        }
    }
    let client = Client::new(&Settings::bare()).unwrap();
    let failure = within(client.fetch(get(front.url()))).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Tls, "{failure:?}");
}

#[tokio::test]
async fn a_file_that_is_none_of_certificates_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, broken) = (folder.path().join("empty.pem"), folder.path().join("broken.pem"));
    std::fs::write(&empty, "no certificate here\n").unwrap();
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nü\n-----END CERTIFICATE-----\n").unwrap();
    for path in [folder.path().join("missing.pem"), empty, broken] {
        for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
            let error =
                Client::new(&settings(&[(variable, path.to_string_lossy().into_owned())])).err().unwrap();
            assert_eq!(
                (error.code, error.field.as_deref()),
                (Code::InvalidArgument, Some(variable)),
                "{path:?}"
            );
            assert!(error.hint.is_some());
        }
    }
}

/// What the client says it speaks, before anything else.
async fn spoken(settings: &Settings) -> Vec<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let client = Client::new(settings).unwrap();
    let listening = async {
        let (stream, _) = listener.accept().await.unwrap();
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.unwrap();
        let spoken = hello.client_hello().alpn().map(|names| names.map(<[u8]>::to_vec).collect());
        spoken.unwrap_or_default()
    };
    tokio::select! {
        spoken = within(listening) => spoken,
        answer = client.fetch(get(url)) => panic!("{answer:?}"),
    }
}

/// Over the second one slow exchange would hold up others.
#[tokio::test]
async fn the_second_version_of_http_is_not_spoken() {
    assert!(!spoken(&settings(&[])).await.contains(&b"h2".to_vec()));
}
