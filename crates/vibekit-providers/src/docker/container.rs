//! What a sandbox is as a container: how it is made, and how it is removed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures_util::StreamExt;
use vibekit_sandbox::{Code, Error, Result};

use super::endpoint::Engine;
use super::options::DockerOptions;
use super::{archive, fail, image, owner, random};

/// Label of everything this package makes; its value is the version of what the other labels mean.
pub(crate) const MARK: &str = "dev.vibekit-native.sandbox";
/// Label: the process that made it.
pub(crate) const OWNER: &str = "dev.vibekit-native.owner";
/// Label: `true` if it ends with that process.
pub(crate) const EPHEMERAL: &str = "dev.vibekit-native.ephemeral";
/// Label: the home directory commands are told, if it is not the image's.
pub(crate) const HOME: &str = "dev.vibekit-native.home";

/// Who commands run as where neither the user nor the image says.
const USER: &str = "1000:1000";
const USER_HOME: &str = "/home/user";
/// Where the record of a session is; only root enters.
pub(crate) const RECORDS: &str = ".vibekit";
/// Times another name is tried.
const NAMES: usize = 3;
/// How long the engine may take to remove a container somebody else is removing.
const REMOVAL: Duration = Duration::from_secs(30);

/// Makes a container with its directories and starts it. Gives its name.
pub(crate) async fn make(
    engine: &Engine,
    options: &DockerOptions,
    agent: &str,
    working_directory: &str,
) -> Result<String> {
    let image = image::name(options, agent);
    let of_image = image::ensure(engine, &image, options.pull).await?;
    let (user, home) = match options.user.clone().or(of_image) {
        Some(user) => (user, None),
        None => (USER.to_owned(), Some(USER_HOME)),
    };
    let body = body(options, &image, &user, home, working_directory);
    let name = named(engine, agent, body).await?;
    let ready = async {
        if let Some(runtime) = &options.runtime {
            has_runtime(engine, &name, runtime).await?;
        }
        prepare(engine, &name, &user, home, working_directory).await?;
        engine.docker.start_container(&name, None).await.map_err(|error| not_started(engine, &error))
    };
    match ready.await {
        Ok(()) => Ok(name),
        Err(error) => {
            // The first failure is the one worth telling; what stays was never started and is swept.
            let _ = remove(engine, &name).await;
            Err(error)
        }
    }
}

/// Podman's Docker interface takes any runtime and uses its own, which may isolate less than the one that was asked for.
async fn has_runtime(engine: &Engine, name: &str, wanted: &str) -> Result<()> {
    let found = engine.docker.inspect_container(name, None).await;
    let found = found.map_err(|error| fail::failed("Looking at the container", &engine.path, &error))?;
    if found.host_config.and_then(|host| host.runtime).as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(Error::new(
        Code::Unsupported,
        format!("The engine does not use the runtime {wanted:?} it is asked for"),
    )
    .with_field(format!("{}.runtime", engine.path))
    .with_hint(
        "Choose the runtime in the engine's own settings (Podman: containers.conf), and leave `runtime` out.",
    ))
}

fn body(
    options: &DockerOptions,
    image: &str,
    user: &str,
    home: Option<&str>,
    working_directory: &str,
) -> ContainerCreateBody {
    let bindings = options.ports.iter().map(|port| {
        let loopback = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
        (format!("{port}/tcp"), Some(vec![loopback]))
    });
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "options allow no more than 4096 cores")]
    let cpu = options.cpu.map(|cores| (cores * 1e9) as i64);
    let mut labels = HashMap::from([
        (MARK.to_owned(), "1".to_owned()),
        (OWNER.to_owned(), owner::current()),
        (EPHEMERAL.to_owned(), options.ephemeral.to_string()),
    ]);
    if let Some(home) = home {
        labels.insert(HOME.to_owned(), home.to_owned());
    }
    ContainerCreateBody {
        image: Some(image.to_owned()),
        // Whatever the image would start: the container only has to be there.
        entrypoint: Some(Vec::new()),
        cmd: Some(["/bin/sh", "-c", "while :; do sleep 86400; done"].map(str::to_owned).to_vec()),
        user: Some(user.to_owned()),
        working_dir: Some(working_directory.to_owned()),
        labels: Some(labels),
        exposed_ports: Some(options.ports.iter().map(|port| format!("{port}/tcp")).collect()),
        host_config: Some(HostConfig {
            init: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(signed(options.pids)),
            memory: Some(signed(options.memory)),
            // The same number: no swap on top.
            memory_swap: Some(signed(options.memory)),
            nano_cpus: cpu,
            port_bindings: Some(bindings.collect()),
            network_mode: match options.network.as_deref() {
                None | Some("allow") => None,
                Some("deny") => Some("none".to_owned()),
                Some(other) => Some(other.to_owned()),
            },
            runtime: options.runtime.clone(),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Creates it under a name nobody has.
async fn named(engine: &Engine, agent: &str, body: ContainerCreateBody) -> Result<String> {
    let kind = if agent.is_empty() { "sandbox" } else { agent };
    for _ in 0..NAMES {
        let name = format!("vibekit-{kind}-{}", random(16));
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        match engine.docker.create_container(Some(options), body.clone()).await {
            Ok(_) => return Ok(name),
            Err(error)
                if fail::answer(&error)
                    .is_some_and(|(status, text)| status == 409 && text.contains("name")) => {}
            Err(error) => return Err(not_created(engine, &error)),
        }
    }
    Err(Error::new(Code::ProviderFailed, format!("{NAMES} random names for the container were all taken"))
        .with_field(format!("{}.host", engine.path))
        .with_hint("See whether this machine has a working source of randomness."))
}

const NETWORKS: &str = "`docker network ls` lists the networks the engine has.";

/// Docker says so when a container is started, Podman when it is made.
fn no_network(text: &str) -> bool {
    text.contains("network") && text.contains("not found")
}

fn not_created(engine: &Engine, error: &bollard::errors::Error) -> Error {
    let field = |name: &str| format!("{}.{name}", engine.path);
    let text = fail::answer(error).map(|(_, text)| text.to_lowercase()).unwrap_or_default();
    let failed = fail::failed("Creating the container", &engine.path, error);
    if text.contains("no such image") {
        failed.with_field(field("image")).with_hint("Fetch the image again: it was removed meanwhile.")
    } else if no_network(&text) {
        failed.with_field(field("network")).with_hint(NETWORKS)
    } else if text.contains("runtime") {
        failed.with_field(field("runtime")).with_hint("`docker info` lists the runtimes the engine knows.")
    } else if text.contains("cpu") {
        failed.with_field(field("limits.cpu")).with_hint("Give no more cores than the engine has.")
    } else {
        failed
    }
}

fn not_started(engine: &Engine, error: &bollard::errors::Error) -> Error {
    let text = fail::answer(error).map(|(_, text)| text.to_lowercase()).unwrap_or_default();
    let failed = fail::failed("Starting the container", &engine.path, error);
    if failed.code == Code::DiskFull {
        failed
    } else if no_network(&text) {
        failed.with_field(format!("{}.network", engine.path)).with_hint(NETWORKS)
    } else if text.contains("/bin/sh") || text.contains("executable file not found") {
        failed
            .with_field(format!("{}.image", engine.path))
            .with_hint("Use an image with a POSIX shell at /bin/sh.")
    } else if text.contains("unable to find user") || text.contains("no users found") {
        failed
            .with_field(format!("{}.user", engine.path))
            .with_hint("Give a user of the image, or numbers such as \"1000:1000\".")
    } else {
        failed
    }
}

/// Makes the directories commands need, for their user.
async fn prepare(
    engine: &Engine,
    name: &str,
    user: &str,
    home: Option<&str>,
    working_directory: &str,
) -> Result<()> {
    let (uid, gid) = ids(engine, name, user).await?;
    let mut wanted: Vec<String> = Vec::new();
    for path in [home, Some(working_directory)].into_iter().flatten() {
        let mut parents = String::new();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                parents.push('/');
            }
            parents.push_str(part);
            let last = at + 1 == parts.len();
            // Directories of the image stay as they are, but for the two that are for the user.
            if wanted.contains(&parents) || (!last && exists(engine, name, &parents).await?) {
                continue;
            }
            wanted.push(parents.clone());
        }
    }
    let archive = archive::directories(&wanted, uid, gid)?;
    upload(engine, name, archive).await
}

async fn exists(engine: &Engine, name: &str, path: &str) -> Result<bool> {
    let options = bollard::query_parameters::ContainerArchiveInfoOptionsBuilder::new()
        .path(&format!("/{path}"))
        .build();
    match engine.docker.get_container_archive_info(name, Some(options)).await {
        Ok(_) => Ok(true),
        Err(error) if fail::missing(&error) => Ok(false),
        Err(error) => Err(fail::failed("Looking into the container", &engine.path, &error)),
    }
}

/// Puts an archive's files into the container, from its root.
pub(crate) async fn upload(engine: &Engine, name: &str, archive: Vec<u8>) -> Result<()> {
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    engine
        .docker
        .upload_to_container(name, Some(options), bollard::body_full(archive.into()))
        .await
        .map_err(|error| fail::failed("Putting files into the container", &engine.path, &error))
}

/// The text of a file; `None` if there is none.
pub(crate) async fn download(engine: &Engine, name: &str, path: &str) -> Result<Option<String>> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut stream = std::pin::pin!(engine.docker.download_from_container(name, Some(options)));
    let mut archive = Vec::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => archive.extend_from_slice(&piece),
            Err(error) if fail::missing(&error) => return Ok(None),
            Err(error) => {
                return Err(fail::failed("Getting a file out of the container", &engine.path, &error));
            }
        }
    }
    archive::only_file(&archive)
}

/// Numbers of a user written as the engine takes it: `name`, `uid`, `name:group`, `uid:gid`.
async fn ids(engine: &Engine, container: &str, user: &str) -> Result<(u64, u64)> {
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let unknown = || {
        Error::invalid(
            format!("{}.user", engine.path),
            "is not a user of the image",
            "Give one that its /etc/passwd names, or numbers such as \"1000:1000\".",
        )
    };
    let of = async |file: &str, name: &str| -> Result<Option<Vec<String>>> {
        // Podman looks for the user by itself, whatever it is asked for.
        let text = download(engine, container, file)
            .await
            .map_err(|error| if error.message.contains("unknown user") { unknown() } else { error })?;
        let text = text.unwrap_or_default();
        let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        Ok(lines.find(|fields| fields.first().is_some_and(|first| first == name)))
    };
    let number = |fields: &[String], at: usize| fields.get(at).and_then(|field| field.parse().ok());
    let (uid, usual) = match user.parse() {
        Ok(uid) => (uid, uid),
        Err(_) => {
            let fields = of("/etc/passwd", user).await?.ok_or_else(unknown)?;
            (number(&fields, 2).ok_or_else(unknown)?, number(&fields, 3).unwrap_or(0))
        }
    };
    let gid = match group {
        None => usual,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => {
                let fields = of("/etc/group", group).await?.ok_or_else(unknown)?;
                number(&fields, 2).ok_or_else(unknown)?
            }
        },
    };
    Ok((uid, gid))
}

/// Removes a container with all that runs in it and its volumes. One that is not there is removed.
pub(crate) async fn remove(engine: &Engine, name: &str) -> Result<()> {
    let end = Instant::now() + REMOVAL;
    loop {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match engine.docker.remove_container(name, Some(options)).await {
            Ok(()) => return Ok(()),
            Err(error) if fail::missing(&error) => return Ok(()),
            // Somebody else is at it.
            Err(error)
                if fail::answer(&error).is_some_and(|(status, _)| status == 409) && Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(fail::failed("Removing the container", &engine.path, &error)),
        }
    }
}
