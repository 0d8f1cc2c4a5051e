//! What cannot be done is refused with a field and a remedy, and leaves nothing behind.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use vibekit_sandbox::{Code, Error, OpenRequest};

use crate::support::{Engine, IMAGE};

async fn refusal(engine: &Engine, options: Value) -> Error {
    let provider = engine.provider(options).unwrap();
    provider.create(OpenRequest::default()).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn creations_that_cannot_be() {
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    let deaf = folder.path().join("deaf.sock");
    let _listener = UnixListener::bind(&deaf).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let deaf = format!("unix://{}", deaf.display());
    for (options, field, code) in [
        (json!({ "host": "unix:///no/such/engine.sock" }), "host", Code::ProviderFailed),
        (json!({ "host": file.to_str() }), "host", Code::ProviderFailed),
        (json!({ "host": "tcp://127.0.0.1:1" }), "host", Code::ProviderFailed),
        (json!({ "host": deaf, "connectionTimeout": 300 }), "host", Code::Timeout),
        (json!({ "image": "no.example/no-such-image:9", "pull": "never" }), "image", Code::InvalidArgument),
        (json!({ "image": "127.0.0.1:1/no-such-image:9" }), "image", Code::InvalidArgument),
        (json!({ "runtime": "no-such-runtime" }), "runtime", Code::ProviderFailed),
        (json!({ "network": "no-such-network" }), "network", Code::ProviderFailed),
        (json!({ "user": "nobody-here" }), "user", Code::InvalidArgument),
    ] {
        let error = refusal(&engine, options.clone()).await;
        // Podman does not know at once what it does not have: it would use another one.
        let code = if field == "runtime" && error.code == Code::Unsupported { error.code } else { code };
        assert_eq!(
            (error.code, error.field.as_deref()),
            (code, Some(format!("environment.docker.{field}").as_str())),
            "{options}: {error:?}"
        );
        assert!(error.hint.is_some(), "{options}: {error:?}");
        assert_eq!(engine.containers().await, Vec::<String>::new(), "{options}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn containers_of_others_are_no_sessions() {
    let engine = Engine::start();
    let id = engine.client(&["run", "--detach", "--name", "not-ours", IMAGE, "sleep", "1000"]);
    let provider = engine.provider(json!({})).unwrap();
    let own = provider.create(OpenRequest::default()).await.unwrap();
    let own_id = engine.client(&["inspect", "--format", "{{.Id}}", own.id()]);
    for name in ["not-ours", &id, &id[..12], &own_id] {
        let error = provider.resume(name, OpenRequest::default()).await.err().unwrap();
        assert_eq!(error.code, Code::SessionNotFound, "{name}");
    }
    let error = own.host(3000).await.unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::Unsupported, Some("environment.docker.ports")));
    own.kill().await.unwrap();
    engine.client(&["rm", "--force", "not-ours"]);
}
