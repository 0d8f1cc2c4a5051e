//! Where the engine is, and a connection to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use serde_json::Value;
use vibekit_http::Lookup;
use vibekit_sandbox::{Code, Error, Result};

use super::fail;
use super::options::DockerOptions;

/// Limit on the engine's answer to one request, in seconds; what may take longer has a limit of its own.
const ANSWER: u64 = 120;

/// A reachable engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    /// The engine is on this machine, so that its loopback address is ours.
    pub(crate) here: bool,
    /// What errors call the options.
    pub(crate) path: String,
}

/// Finds the engine and asks for its version.
pub(crate) async fn connect(options: &DockerOptions, path: &str, env: &Lookup) -> Result<Engine> {
    let field = format!("{path}.host");
    let Place { address, certificates } = match &options.host {
        Some(host) => Place::new(host.clone()),
        None => find(env, &field)?,
    };
    let certificates = certificates.or_else(|| chosen_certificates(&address, env));
    let docker = client(&address, &field, certificates.as_deref())?;
    let limit = Duration::from_millis(options.connect_ms);
    let asked = tokio::time::timeout(limit, docker.negotiate_version()).await;
    let docker = match asked {
        Ok(Ok(docker)) => docker,
        Ok(Err(error)) => return Err(fail::unreachable(&address, &field, &error)),
        Err(_) => {
            return Err(Error::new(
                Code::Timeout,
                format!("The container engine at {address} did not answer within {} ms", limit.as_millis()),
            )
            .with_field(field)
            .with_hint("See whether `docker version` answers; restart the engine if it does not.")
            .with("limit", options.connect_ms)
            .retryable());
        }
    };
    Ok(Engine {
        docker,
        here: !["tcp:", "http:", "https:"].iter().any(|scheme| address.starts_with(scheme)),
        path: path.to_owned(),
    })
}

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    address: String,
    /// The folder of the certificates a context has of its own.
    certificates: Option<PathBuf>,
}

impl Place {
    const fn new(address: String) -> Self {
        Self { address, certificates: None }
    }
}

/// The folder of the certificates, if TLS is wished for: as `docker` has it, `DOCKER_TLS_VERIFY` says so for `tcp:` and
/// `DOCKER_CERT_PATH` says where.
fn chosen_certificates(address: &str, env: &Lookup) -> Option<PathBuf> {
    let variable = |name: &str| env(name).filter(|value| !value.is_empty());
    let tls = address.starts_with("https://")
        || (address.starts_with("tcp://") && variable("DOCKER_TLS_VERIFY").is_some());
    tls.then(|| variable("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| config(env)).unwrap_or_default())
}

/// Files of a folder of certificates: the authority's certificate, ours, and its key.
const CERTIFICATES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// `certificates`: the folder they are in, for an address that is spoken to over TLS.
fn client(address: &str, field: &str, certificates: Option<&Path>) -> Result<Docker> {
    let wrong =
        |problem: &str, remedy: &str| Err(Error::invalid(field, format!("{problem} ({address})"), remedy));
    const SOCKET: &str = "Give unix:///path/of/the/socket or tcp://host:port.";
    let made = if let Some(socket) =
        address.strip_prefix("unix://").or(Some(address).filter(|a| a.starts_with('/')))
    {
        return socket_client(socket, address, field);
    } else if address.starts_with("npipe://") {
        return pipe_client(address, field);
    } else if let Some(folder) = certificates {
        tls_client(address, folder, field)?
    } else if address.starts_with("tcp://") || address.starts_with("http://") {
        Docker::connect_with_http(address, ANSWER, API_DEFAULT_VERSION)
    } else if address.starts_with("ssh://") {
        return wrong(
            "is an SSH address, which this version does not speak",
            "Forward the engine's socket instead: `ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock host`.",
        );
    } else {
        return wrong("is not an address of an engine", SOCKET);
    };
    made.map_err(|error| fail::unreachable(address, field, &error))
}

type Made = std::result::Result<Docker, bollard::errors::Error>;

fn tls_client(address: &str, folder: &Path, field: &str) -> Result<Made> {
    let [ca, certificate, key] = CERTIFICATES.map(|name| folder.join(name));
    // The client reads them at the first request, where a failure looks like one of the engine.
    for file in [&ca, &certificate, &key] {
        if let Err(error) = std::fs::File::open(file) {
            return Err(Error::invalid(
                field,
                format!("asks for TLS, for which {} cannot be read: {error}", file.display()),
                "Put ca.pem, cert.pem and key.pem into the folder DOCKER_CERT_PATH names, or unset DOCKER_TLS_VERIFY.",
            ));
        }
    }
    Ok(Docker::connect_with_ssl(address, &key, &certificate, &ca, ANSWER, API_DEFAULT_VERSION))
}

#[cfg(unix)]
fn socket_client(socket: &str, address: &str, field: &str) -> Result<Docker> {
    // The client only says that a socket is not there; why is what helps.
    if let Err(error) = std::fs::metadata(socket) {
        return Err(fail::no_socket(address, field, &error));
    }
    Docker::connect_with_unix(socket, ANSWER, API_DEFAULT_VERSION)
        .map_err(|error| fail::unreachable(address, field, &error))
}

#[cfg(not(unix))]
fn socket_client(_socket: &str, address: &str, field: &str) -> Result<Docker> {
    Err(Error::invalid(
        field,
        format!("is a Unix socket ({address})"),
        "Give npipe:////./pipe/docker_engine.",
    ))
}

#[cfg(windows)]
fn pipe_client(address: &str, field: &str) -> Result<Docker> {
    Docker::connect_with_named_pipe(address, ANSWER, API_DEFAULT_VERSION)
        .map_err(|error| fail::unreachable(address, field, &error))
}

#[cfg(not(windows))]
fn pipe_client(address: &str, field: &str) -> Result<Docker> {
    Err(Error::invalid(
        field,
        format!("is a named pipe of Windows ({address})"),
        "Give unix:///path/of/the/socket.",
    ))
}

/// In the order in which `docker` and `podman` look: the variables, the chosen context, the usual places.
fn find(env: &Lookup, field: &str) -> Result<Place> {
    let variable = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(Place::new(host));
    }
    let home = home(env);
    if let Some(config) = config(env) {
        let context = variable("DOCKER_CONTEXT").or_else(|| chosen_context(&config));
        if let Some(context) = context.filter(|context| context != "default") {
            return context_place(&config, &context).ok_or_else(|| {
                Error::invalid(
                    field,
                    format!("was not given, and the context {context:?} has no address"),
                    "Give it, or choose another context with `docker context use`.",
                )
            });
        }
    }
    if let Some(host) = variable("CONTAINER_HOST") {
        return Ok(Place::new(host));
    }
    if cfg!(windows) {
        return Ok(Place::new("npipe:////./pipe/docker_engine".to_owned()));
    }
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = [
        Some(PathBuf::from("/var/run/docker.sock")),
        runtime.as_ref().map(|runtime| runtime.join("docker.sock")),
        home.as_ref().map(|home| home.join(".docker/run/docker.sock")),
        home.as_ref().map(|home| home.join(".colima/default/docker.sock")),
        runtime.as_ref().map(|runtime| runtime.join("podman/podman.sock")),
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    let found = places.iter().flatten().find(|place| place.exists());
    let tried = || {
        let tried: Vec<_> = places.iter().flatten().map(|place| place.display().to_string()).collect();
        Error::new(
            Code::ProviderFailed,
            format!("There is no container engine: none of {} is there", tried.join(", ")),
        )
        .with_field(field)
        .with_hint(fail::START)
    };
    found.map(|place| Place::new(format!("unix://{}", place.display()))).ok_or_else(tried)
}

fn home(env: &Lookup) -> Option<PathBuf> {
    ["HOME", "USERPROFILE"]
        .iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .map(PathBuf::from)
}

/// The folder of `docker`'s own settings.
fn config(env: &Lookup) -> Option<PathBuf> {
    let given = env("DOCKER_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.or_else(|| Some(home(env)?.join(".docker")))
}

fn chosen_context(config: &Path) -> Option<String> {
    let text = std::fs::read_to_string(config.join("config.json")).ok()?;
    Some(serde_json::from_str::<Value>(&text).ok()?["currentContext"].as_str()?.to_owned())
}

/// Contexts lie in folders called by a digest of their name; the name is inside. Certificates are in a folder of the same
/// name beside it.
fn context_place(config: &Path, name: &str) -> Option<Place> {
    std::fs::read_dir(config.join("contexts/meta")).ok()?.flatten().find_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("meta.json")).ok()?;
        let meta: Value = serde_json::from_str(&text).ok()?;
        let address =
            meta["Endpoints"]["docker"]["Host"].as_str().filter(|_| meta["Name"] == name)?.to_owned();
        let certificates = config.join("contexts/tls").join(entry.file_name()).join("docker");
        Some(Place { address, certificates: Some(certificates).filter(|folder| folder.is_dir()) })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    fn lookup(pairs: &[(&str, &str)]) -> Lookup {
        let map: HashMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Arc::new(move |name| map.get(name).cloned())
    }

    #[test]
    fn variables_come_first_then_the_context_then_the_usual_places() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        let meta = home.path().join(".docker/contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:2375"}}}"#,
        )
        .unwrap();
        let found = |pairs: &[(&str, &str)]| {
            find(&lookup(pairs), "environment.docker.host").map(|place| place.address)
        };
        assert_eq!(found(&[("HOME", path), ("DOCKER_HOST", "tcp://x:1")]).unwrap(), "tcp://x:1");
        assert_eq!(found(&[("HOME", path), ("DOCKER_CONTEXT", "far")]).unwrap(), "tcp://far:2375");
        std::fs::write(home.path().join(".docker/config.json"), r#"{"currentContext":"far"}"#).unwrap();
        assert_eq!(found(&[("HOME", path)]).unwrap(), "tcp://far:2375");
        let error = found(&[("HOME", path), ("DOCKER_CONTEXT", "gone")]).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("environment.docker.host"));
        if !cfg!(windows) {
            std::fs::remove_file(home.path().join(".docker/config.json")).unwrap();
            std::fs::create_dir_all(home.path().join("podman")).unwrap();
            std::fs::write(home.path().join("podman/podman.sock"), "").unwrap();
            let socket = found(&[("HOME", path), ("XDG_RUNTIME_DIR", path)]).unwrap();
            assert!(socket.ends_with(".sock"), "{socket}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_used_name_field_and_remedy() {
        for address in ["ssh://host", "ftp://x", "unix:///no/such/engine.sock", "relative.sock"] {
            let error = client(address, "environment.docker.host", None).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("environment.docker.host"), "{address}");
            assert!(error.hint.is_some(), "{address}");
        }
    }

    #[test]
    fn tls_is_asked_for_as_docker_is_asked_for_it() {
        let chosen = |address: &str, pairs: &[(&str, &str)]| chosen_certificates(address, &lookup(pairs));
        let verify = ("DOCKER_TLS_VERIFY", "1");
        assert_eq!(chosen("tcp://x:2375", &[("HOME", "/h")]), None);
        assert_eq!(chosen("unix:///s", &[verify]), None);
        assert_eq!(chosen("tcp://x:2376", &[verify, ("HOME", "/h")]), Some("/h/.docker".into()));
        assert_eq!(chosen("tcp://x:2376", &[verify, ("DOCKER_CERT_PATH", "/c")]), Some("/c".into()));
        assert_eq!(chosen("https://x:2376", &[("DOCKER_CONFIG", "/d")]), Some("/d".into()));
        let error = client("tcp://x:2376", "f", Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(error.message.contains("/no/such/folder/ca.pem") && error.hint.is_some(), "{error:?}");
    }

    #[test]
    fn a_context_has_certificates_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        let told = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:2376"}}}"#;
        std::fs::write(meta.join("meta.json"), told).unwrap();
        let of = |name: &str| context_place(folder.path(), name);
        assert_eq!(of("far"), Some(Place::new("tcp://far:2376".to_owned())));
        let tls = folder.path().join("contexts/tls/abc/docker");
        std::fs::create_dir_all(&tls).unwrap();
        assert_eq!(of("far").and_then(|place| place.certificates), Some(tls));
        assert_eq!(of("near"), None);
    }
}
