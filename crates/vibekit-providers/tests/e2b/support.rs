//! What the tests over real connections have in common.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vibekit_http::{Backoff, Client, Redact, Retry, Settings, Transport};
use vibekit_providers::Lookup;
use vibekit_providers::e2b::{E2bOptions, E2bProvider};
use vibekit_sandbox::{Command, Exit, OpenRequest, Process, Provider, Result, Sandbox, Stream};
use vibekit_testkit::doubles::e2b::{Double, Options};

pub(crate) const KEY: &str = "e2b_0123456789abcdef";

/// Nothing here takes longer, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn plain() -> Options {
    Options { isolated: false, ..Options::default() }
}

pub(crate) async fn double(options: Options) -> Double {
    Double::start(options).await.unwrap()
}

pub(crate) fn no_env() -> Lookup {
    Arc::new(|_| None)
}

pub(crate) fn env_of(variables: &[(&'static str, String)]) -> Lookup {
    let variables = variables.to_vec();
    Arc::new(move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
}

/// Options for a service at a URL, and more of them.
pub(crate) fn options(url: &str, more: &Value) -> Value {
    let mut options = json!({ "apiKey": KEY, "apiUrl": url, "sandboxUrl": url });
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    options
}

/// A provider as users get it.
pub(crate) fn provider(url: &str, more: Value) -> Arc<dyn Provider> {
    vibekit_providers::make("e2b", &options(url, &more), "options", &no_env()).unwrap()
}

/// The same with short pauses between attempts.
pub(crate) fn hasty(url: &str, more: Value) -> Arc<dyn Provider> {
    let options = E2bOptions::parse(&options(url, &more), "options", &no_env()).unwrap();
    let backoff = Backoff { first: Duration::from_millis(10), ..Backoff::default() };
    let client = Client::new(&Settings::bare()).unwrap();
    let way: Arc<dyn Transport> = Arc::new(Redact::new(Retry::new(client, backoff), [KEY.to_owned()]));
    E2bProvider::new(options, way)
}

/// Opens in the temporary directory, which needs no rights.
pub(crate) fn request() -> OpenRequest {
    OpenRequest { working_directory: "/tmp".to_owned(), agent: "claude".to_owned(), ..OpenRequest::default() }
}

pub(crate) async fn open(provider: &Arc<dyn Provider>) -> Arc<dyn Sandbox> {
    within(provider.create(request())).await.unwrap()
}

pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("it hangs")
}

/// Waits for something to become so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not come about");
}

/// Output and end of a command.
pub(crate) async fn finish(process: &mut dyn Process) -> Result<(String, String, Exit)> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((stream, bytes)) = process.next().await? {
        if stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(&bytes);
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((text(out), text(err), process.exit().await?))
}

pub(crate) async fn sh(sandbox: &Arc<dyn Sandbox>, line: &str) -> Result<(String, String, Exit)> {
    within(async { finish(&mut *sandbox.spawn(Command::shell(line)).await?).await }).await
}
