use async_trait::async_trait;
use bytes::Bytes;

use crate::{Body, Failure, Request, Response, Streaming, Transport};

/// Keeps secrets out of failures and out of refusals, whoever put them there: those it is told, and what the request sends as
/// one ([`Request::secret`]). An answer with a status of success is passed on as it is.
pub struct Redact<T> {
    inner: T,
    secrets: Vec<String>,
}

/// Shorter ones would black out ordinary words.
const SHORTEST: usize = 6;
/// Of a refusal nobody reads more.
const LONGEST: usize = 64 << 10;

impl<T: Transport> Redact<T> {
    /// Around a transport. Secrets shorter than six characters are not looked for.
    pub fn new(inner: T, secrets: impl IntoIterator<Item = String>) -> Self {
        Self { inner, secrets: secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect() }
    }

    /// A text without the secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        clean(&self.secrets, text)
    }

    /// The secrets of one exchange.
    fn secrets(&self, request: &Request) -> Vec<String> {
        let sent = request.headers.values().filter(|value| value.is_sensitive());
        let sent = sent.filter_map(|value| value.to_str().ok()).filter(|value| value.len() >= SHORTEST);
        self.secrets.iter().cloned().chain(sent.map(str::to_owned)).collect()
    }
}

fn clean(secrets: &[String], text: &str) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

fn clean_failure(secrets: &[String], failure: Failure) -> Failure {
    Failure { message: clean(secrets, &failure.message), ..failure }
}

fn clean_body(secrets: &[String], body: &Bytes) -> Bytes {
    if !secrets.iter().any(|secret| body.windows(secret.len()).any(|part| part == secret.as_bytes())) {
        return body.clone();
    }
    clean(secrets, &String::from_utf8_lossy(body)).into()
}

/// The body of a refusal, in one piece: a secret may lie across two.
struct Cleaned {
    body: Option<Box<dyn Body>>,
    whole: Vec<u8>,
    secrets: Vec<String>,
}

#[async_trait]
impl Body for Cleaned {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(body) = &mut self.body {
            match body.next().await {
                Ok(Some(piece)) if self.whole.len() < LONGEST => self.whole.extend_from_slice(&piece),
                Ok(_) => self.body = None,
                Err(failure) => {
                    self.body = None;
                    return Err(clean_failure(&self.secrets, failure));
                }
            }
        }
        self.whole.truncate(LONGEST);
        let whole = clean_body(&self.secrets, &std::mem::take(&mut self.whole).into());
        Ok(Some(whole).filter(|whole| !whole.is_empty()))
    }
}

#[async_trait]
impl<T: Transport> Transport for Redact<T> {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        let secrets = self.secrets(&request);
        let answer = self.inner.send(request).await.map_err(|failure| clean_failure(&secrets, failure))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let body = Cleaned { body: Some(answer.body), whole: Vec::new(), secrets };
        Ok(Streaming { body: Box::new(body), ..answer })
    }

    async fn fetch(&self, request: Request) -> Result<Response, Failure> {
        let secrets = self.secrets(&request);
        let answer = self.inner.fetch(request).await.map_err(|failure| clean_failure(&secrets, failure))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Ok(Response { body: clean_body(&secrets, &answer.body), ..answer })
    }
}

impl<T> std::fmt::Debug for Redact<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redact").finish_non_exhaustive()
    }
}
