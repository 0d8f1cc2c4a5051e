use async_trait::async_trait;

use crate::{Failure, Request, Streaming, Transport};

/// Keeps secrets out of failures, whoever put them there.
pub struct Redact<T> {
    inner: T,
    secrets: Vec<String>,
}

/// Shorter ones would black out ordinary words.
const SHORTEST: usize = 6;

impl<T: Transport> Redact<T> {
    /// Around a transport. Secrets shorter than six characters are not looked for.
    pub fn new(inner: T, secrets: impl IntoIterator<Item = String>) -> Self {
        Self { inner, secrets: secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect() }
    }

    /// A text without the secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

#[async_trait]
impl<T: Transport> Transport for Redact<T> {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        self.inner
            .send(request)
            .await
            .map_err(|failure| Failure { message: self.clean(&failure.message), ..failure })
    }
}

impl<T> std::fmt::Debug for Redact<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redact").finish_non_exhaustive()
    }
}
