/// Texts that must not leave the process.
pub(crate) struct Secrets(Vec<String>);

/// Shorter ones would black out ordinary words.
const SHORTEST: usize = 6;

impl Secrets {
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // One may hold another: the longer one first, or its rest would stay.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), "***") } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn the_longer_secret_goes_first_and_short_ones_stay() {
        let secrets = Secrets::new(["secret".to_owned(), "secret-longer".to_owned(), "abc".to_owned()]);
        assert_eq!(secrets.hide("a secret-longer, a secret, abc"), "a ***, a ***, abc");
    }
}
