//! Where repositories are: GitHub, or a GitHub Enterprise server.

use crate::{Code, Error, Result};

/// Addresses of a GitHub server, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Of the repositories.
    pub web: String,
    /// Of the REST API.
    pub api: String,
}

impl Default for Server {
    fn default() -> Self {
        Self { web: "https://github.com".to_owned(), api: "https://api.github.com".to_owned() }
    }
}

impl Server {
    /// The server at an address: that of its pages or of its API (`https://ghe.example.com`, `…/api/v3`).
    ///
    /// GitHub Enterprise Server has its API under `/api/v3`, GitHub Enterprise Cloud with data residency
    /// (`https://name.ghe.com`) at `https://api.name.ghe.com` (GitHub REST API documentation, "Getting started").
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for anything but `http://` and `https://`, and for addresses that hold a password.
    pub fn at(field: &str, address: &str) -> Result<Self> {
        let remedy = "Set it to the address of your GitHub server, like https://ghe.example.com.";
        let trimmed = address.trim().trim_end_matches('/');
        let (scheme, rest) = match trimmed.split_once("://") {
            Some((scheme @ ("https" | "http"), rest)) if !rest.is_empty() => (scheme, rest),
            _ => return Err(Error::invalid(field, "is no http(s) address", remedy)),
        };
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('@') || rest.contains(['?', '#', ' ', '\'', '"', '\\']) {
            return Err(Error::invalid(field, "is more than an address", remedy));
        }
        if matches!(host, "github.com" | "www.github.com" | "api.github.com") {
            return Ok(Self::default());
        }
        let rest = rest.strip_suffix("/api/v3").unwrap_or(rest);
        if let Some(name) = rest.strip_prefix("api.").filter(|name| name.ends_with(".ghe.com")) {
            return Ok(Self { web: format!("{scheme}://{name}"), api: format!("{scheme}://{rest}") });
        }
        let api = if rest.ends_with(".ghe.com") {
            format!("{scheme}://api.{rest}")
        } else {
            format!("{scheme}://{rest}/api/v3")
        };
        Ok(Self { web: format!("{scheme}://{rest}"), api })
    }

    /// `owner/repo` of what a user wrote: that itself, or the repository's address on this server. An address on another
    /// server is refused, because the token would go there.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for addresses of other servers.
    pub fn path<'a>(&self, repository: &'a str) -> Result<&'a str> {
        let repository = repository.trim();
        let path = match repository.split_once("://") {
            None => repository,
            Some(_) => {
                let rest = repository.strip_prefix(&self.web).and_then(|rest| rest.strip_prefix('/'));
                rest.ok_or_else(|| {
                    Error::invalid(
                        "repository",
                        format!("is not on {}", self.web),
                        "Give it as owner/repo; another server is set with github.baseUrl.",
                    )
                })?
            }
        };
        let path = path.trim_matches('/');
        Ok(path.strip_suffix(".git").unwrap_or(path))
    }

    /// Address git clones from.
    ///
    /// # Errors
    ///
    /// As [`Server::path`].
    pub fn clone_url(&self, repository: &str) -> Result<String> {
        Ok(format!("{}/{}.git", self.web, self.path(repository)?))
    }

    /// Owner and name: the first two parts of the path.
    ///
    /// # Errors
    ///
    /// As [`Server::path`]; with upstream's sentence when a part is missing.
    pub fn owner_and_name<'a>(&self, repository: &'a str) -> Result<(&'a str, &'a str)> {
        let mut parts = self.path(repository)?.split('/');
        match (parts.next(), parts.next()) {
            (Some(owner), Some(name)) if !owner.is_empty() && !name.is_empty() => Ok((owner, name)),
            _ => Err(Error::new(
                Code::InvalidArgument,
                "Invalid repository URL format. Expected format: owner/repo",
            )
            .with_field("repository")),
        }
    }
}
