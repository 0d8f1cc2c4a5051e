//! Which image a sandbox is made of, and having it.

use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use vibekit_sandbox::{Code, Error, Result};

use super::endpoint::Engine;
use super::fail;
use super::options::{DockerOptions, Pull};

/// What is made where no agent is named.
const PLAIN: &str = "ubuntu:22.04";
/// Fetching may take this long.
const PULL: Duration = Duration::from_secs(1800);

/// The image: the user's, or the one upstream publishes for the agent.
pub(crate) fn name(options: &DockerOptions, agent: &str) -> String {
    if let Some(image) = &options.image {
        return image.clone();
    }
    let published = match agent {
        "codex" | "claude" | "opencode" => format!("vibekit-{agent}:1.0"),
        "gemini" => "vibekit-gemini:1.1".to_owned(),
        "grok" => "vibekit-grok-cli:1.0".to_owned(),
        _ => return PLAIN.to_owned(),
    };
    if !options.prefer_registry {
        return format!("vibekit-{agent}:latest");
    }
    match (&options.registry, &options.registry_user) {
        (None, None) => format!("superagentai/{published}"),
        (registry, user) => {
            let parts = [registry.as_deref(), user.as_deref(), Some(&format!("vibekit-{agent}:latest"))];
            parts.into_iter().flatten().collect::<Vec<_>>().join("/")
        }
    }
}

/// The user an image's commands run as, if it names one that is not root.
pub(crate) async fn ensure(engine: &Engine, image: &str, pull: Pull) -> Result<Option<String>> {
    if pull == Pull::Always {
        fetch(engine, image).await?;
    }
    let found = match engine.docker.inspect_image(image).await {
        Err(error) if fail::missing(&error) && pull == Pull::Missing => {
            fetch(engine, image).await?;
            engine.docker.inspect_image(image).await
        }
        found => found,
    };
    let found = found.map_err(|error| {
        if fail::missing(&error) {
            missing(engine, image, "the engine does not have it")
        } else {
            fail::failed("Looking for the image", &engine.path, &error)
        }
    })?;
    let user = found.config.and_then(|config| config.user).unwrap_or_default();
    let root = matches!(user.split(':').next(), Some("" | "0" | "root"));
    Ok((!root).then_some(user))
}

async fn fetch(engine: &Engine, image: &str) -> Result<()> {
    // Without a tag the engine would fetch all there are.
    let tagged = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let wanted = if tagged { image.to_owned() } else { format!("{image}:latest") };
    let options = CreateImageOptionsBuilder::new().from_image(&wanted).build();
    let work = async {
        let mut progress = std::pin::pin!(engine.docker.create_image(Some(options), None, None));
        while let Some(step) = progress.next().await {
            step.map_err(|error| match fail::answer(&error) {
                Some((_, text)) => missing(engine, image, &format!("fetching it failed: {text}")),
                None => match &error {
                    bollard::errors::Error::DockerStreamError { error } => {
                        missing(engine, image, &format!("fetching it failed: {error}"))
                    }
                    error => fail::failed("Fetching the image", &engine.path, error),
                },
            })?;
        }
        Ok(())
    };
    tokio::time::timeout(PULL, work).await.unwrap_or_else(|_| {
        let limit = u64::try_from(PULL.as_millis()).unwrap_or(u64::MAX);
        Err(Error::new(Code::Timeout, format!("Fetching the image {image} took too long"))
            .with_field(format!("{}.image", engine.path))
            .with_hint(format!("Fetch it beforehand: docker pull {image}"))
            .with("limit", limit))
    })
}

fn missing(engine: &Engine, image: &str, why: &str) -> Error {
    let field = format!("{}.image", engine.path);
    Error::invalid(
        field,
        format!("cannot be used: there is no image {image} here, and {why}"),
        format!(
            "Fetch it (docker pull {image}), name another one with `image`, or let `pull` be \"missing\"."
        ),
    )
    .with("image", image)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn images_are_upstreams_unless_the_user_says_otherwise() {
        let named =
            |value: Value, agent: &str| name(&DockerOptions::parse(&value, "options").unwrap(), agent);
        for (value, agent, image) in [
            (json!({}), "claude", "superagentai/vibekit-claude:1.0"),
            (json!({}), "gemini", "superagentai/vibekit-gemini:1.1"),
            (json!({}), "grok", "superagentai/vibekit-grok-cli:1.0"),
            (json!({}), "", "ubuntu:22.04"),
            (json!({ "image": "mine:2" }), "claude", "mine:2"),
            (json!({ "preferRegistryImages": false }), "codex", "vibekit-codex:latest"),
            (json!({ "dockerHubUser": "me" }), "codex", "me/vibekit-codex:latest"),
            (json!({ "privateRegistry": "r.example:5000" }), "codex", "r.example:5000/vibekit-codex:latest"),
            (
                json!({ "privateRegistry": "r.example", "registryUser": "me" }),
                "grok",
                "r.example/me/vibekit-grok:latest",
            ),
        ] {
            assert_eq!(named(value.clone(), agent), image, "{value} {agent}");
        }
    }
}
