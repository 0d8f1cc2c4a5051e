//! Keys are in no error, no `Debug` and no answer that refuses.

use vibekit_core::Admitted;
use vibekit_http::{Client, HeaderName, Method, Reason, Redact, Request, Transport};

use crate::support::{Server, get, settings, within};

const KEY: &str = "e2b_0123456789abcdef";

fn keyed(url: String) -> Request {
    get(url).secret(HeaderName::from_static("x-api-key"), KEY)
}

#[tokio::test]
async fn requests_do_not_show_their_secrets() {
    let request = keyed("http://x".to_owned()).json(&serde_json::json!({ "password": "hunter2" }));
    let shown = format!("{request:?}");
    assert!(!shown.contains(KEY) && !shown.contains("hunter2") && shown.contains("x-api-key"), "{shown}");
    let client = Client::new(&settings(&[])).unwrap();
    let redact = Redact::new(client, [KEY.to_owned(), "short".to_owned()]);
    assert!(!format!("{redact:?}").contains(KEY));
    assert_eq!(redact.clean(&format!("a {KEY} short")), "a *** short");
}

#[tokio::test]
async fn a_value_no_header_can_have_is_refused_without_it() {
    let server = Server::saying(crate::support::HELLO).await;
    let client = Client::new(&settings(&[])).unwrap();
    let request = get(server.url()).secret(HeaderName::from_static("x-api-key"), format!("{KEY}\n"));
    let failure = within(client.fetch(request)).await.unwrap_err();
    assert_eq!((failure.reason, failure.admitted), (Reason::Invalid, Admitted::No));
    assert!(failure.message.contains("x-api-key") && !failure.message.contains(KEY), "{failure:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn refusals_that_repeat_a_key_are_cleaned_and_answers_are_left_alone() {
    let server = Server::start(|mut stream, head| async move {
        use tokio::io::AsyncWriteExt;
        let status = if head.contains("/good") { "200 OK" } else { "401 Unauthorized" };
        let text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\nno such key: {KEY}, sorry");
        // In two pieces, with the key across them.
        let (first, second) = text.as_bytes().split_at(text.len() - 15);
        let _ = stream.write_all(first).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let _ = stream.write_all(second).await;
    })
    .await;
    // It is not told the key: the request says what its secrets are.
    let redact = Redact::new(Client::new(&settings(&[])).unwrap(), []);
    let refused = within(redact.fetch(keyed(server.url()))).await.unwrap();
    assert_eq!(refused.body, "no such key: ***, sorry");
    let mut streamed = within(redact.send(keyed(server.url()))).await.unwrap();
    assert_eq!(within(streamed.body.next()).await.unwrap().unwrap(), "no such key: ***, sorry");
    assert_eq!(within(streamed.body.next()).await.unwrap(), None);
    let good = within(redact.fetch(keyed(format!("{}/good", server.url())))).await.unwrap();
    assert_eq!(good.body, format!("no such key: {KEY}, sorry"));
}

#[tokio::test]
async fn failures_are_cleaned() {
    struct Fails;
    #[async_trait::async_trait]
    impl Transport for Fails {
        async fn send(&self, request: Request) -> Result<vibekit_http::Streaming, vibekit_http::Failure> {
            Err(vibekit_http::Failure::new(Reason::Broken, format!("cannot send {} with {KEY}", request.url)))
        }
    }
    let redact = Redact::new(Fails, ["tok_abcdef".to_owned()]);
    let request =
        Request::new(Method::GET, "http://x/?t=tok_abcdef").secret(HeaderName::from_static("x-api-key"), KEY);
    let failure = redact.fetch(request).await.unwrap_err();
    assert_eq!(failure.message, "cannot send http://x/?t=*** with ***");
}
