//! Names that are taken. No real engine takes names away, so one is played, as far as a creation goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use vibekit_providers::make;
use vibekit_sandbox::{Code, OpenRequest};

/// Answers one request, and closes.
async fn answer(mut stream: UnixStream, creations: &AtomicUsize) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    let (status, body) = if line.contains("/containers/create") {
        creations.fetch_add(1, Ordering::SeqCst);
        (
            409,
            json!({ "message": "Conflict. The container name \"/vibekit-sandbox-x\" is already in use by container \"1\"." }),
        )
    } else if line.contains("/version") {
        (200, json!({ "ApiVersion": "1.41", "Version": "20.10" }))
    } else if line.contains("/images/") {
        (200, json!({ "Id": "sha256:1", "Config": { "User": "" } }))
    } else if line.contains("/containers/json") {
        (200, json!([]))
    } else {
        (404, json!({ "message": "page not found" }))
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    // What of the request is still to come is read, or closing would be a reset.
    stream.shutdown().await?;
    while stream.read_buf(&mut request).await? > 0 {}
    Ok(())
}

#[tokio::test]
async fn names_that_are_taken_are_not_insisted_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let creations = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&creations);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move { answer(stream, &counted).await });
        }
    });
    let options = json!({ "host": format!("unix://{}", socket.display()), "image": "any:1" });
    let provider = make("docker", &options, "environment.docker", &(Arc::new(|_: &str| None) as _)).unwrap();
    let error = provider.create(OpenRequest::default()).await.err().unwrap();
    assert_eq!((error.code, creations.load(Ordering::SeqCst)), (Code::ProviderFailed, 3), "{error:?}");
    assert!(error.message.contains("taken") && error.hint.is_some(), "{error:?}");
    serving.abort();
}
