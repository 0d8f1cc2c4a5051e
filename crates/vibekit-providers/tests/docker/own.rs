//! What needs an engine that is like no other: one that is reached over TLS, and one whose disk is full.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use vibekit_providers::{Lookup, make};
use vibekit_sandbox::{Code, OpenRequest};

use crate::support::{Engine, IMAGE};
use crate::{run, shell};

fn done(program: &str, args: &[&str], folder: &Path) {
    let output = Command::new(program).args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and certificates of it for the engine (`server-*.pem`) and for us (`cert.pem`, `key.pem`).
fn certificates(folder: &Path) {
    let openssl = |args: &str| done("openssl", &args.split(' ').collect::<Vec<_>>(), folder);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem"));
    for (name, subject, extensions) in [
        ("server", "engine", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "client", "extendedKeyUsage=clientAuth\n"),
    ] {
        std::fs::write(folder.join("extensions"), extensions).unwrap();
        openssl(&format!("req {key} -subj /CN={subject} -keyout {name}-key.pem -out request.pem"));
        openssl(&format!(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile extensions -out {name}-cert.pem"
        ));
    }
    for (from, to) in [("client-cert.pem", "cert.pem"), ("client-key.pem", "key.pem")] {
        std::fs::rename(folder.join(from), folder.join(to)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn an_engine_is_reached_over_tls() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(ours.path());
    certificates(theirs.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tcp://127.0.0.1:{port}");
    let at = ours.path().display();
    let arguments = format!(
        "--host {address} --tlsverify --tlscacert {at}/ca.pem --tlscert {at}/server-cert.pem --tlskey {at}/server-key.pem"
    );
    let folder = tempfile::Builder::new().prefix("vk-engine-").tempdir().unwrap();
    let engine = Engine::own(folder, &arguments);
    let provider = |certificates: Option<&Path>| {
        let path = certificates.map(|path| path.display().to_string());
        let lookup: Lookup = Arc::new(move |name| match name {
            "DOCKER_TLS_VERIFY" => path.as_ref().map(|_| "1".to_owned()),
            "DOCKER_CERT_PATH" => path.clone(),
            _ => None,
        });
        let options = json!({ "host": address, "image": IMAGE, "network": "deny" });
        make("docker", &options, "environment.docker", &lookup).unwrap()
    };
    let sandbox = provider(Some(ours.path())).create(OpenRequest::default()).await.unwrap();
    assert_eq!(run(&sandbox, shell("echo over TLS")).await.0, "over TLS\n");
    sandbox.kill().await.unwrap();
    // Without TLS, and with certificates of another authority.
    for certificates in [None, Some(theirs.path())] {
        let error = provider(certificates).create(OpenRequest::default()).await.err().unwrap();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (Code::ProviderFailed, Some("environment.docker.host")),
            "{error:?}"
        );
        assert!(error.hint.is_some(), "{error:?}");
    }
    assert_eq!(engine.containers().await, Vec::<String>::new());
}

/// A file system of its own, which can be filled.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("vk-disk-").tempdir().unwrap();
        let options = format!("size={size},mode=755");
        done("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", "."], folder.path());
        Self(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let disk = Disk::new("400m");
    let folder = tempfile::Builder::new().prefix("vk-engine-").tempdir_in(disk.0.path()).unwrap();
    // What the engine needs to start a command lies elsewhere on real machines, too.
    let elsewhere = tempfile::Builder::new().prefix("vk-run-").tempdir().unwrap();
    let engine = Engine::own(folder, &format!("--exec-root {}", elsewhere.path().display()));
    let filler = disk.0.path().join("filler");
    let provider = engine.provider(json!({ "network": "deny" })).unwrap();
    let fill = || {
        // Until there is no more; that is what it fails with.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k"])
            .arg(format!("of={}", filler.display()))
            .output();
    };
    fill();
    let error = provider.create(OpenRequest::default()).await.err().unwrap();
    assert_eq!(error.code, Code::DiskFull, "{error:?}");
    assert!(error.hint.is_some(), "{error:?}");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(engine.containers().await, Vec::<String>::new());
    // It fills up while a sandbox is in use.
    let sandbox = provider.create(OpenRequest::default()).await.unwrap();
    fill();
    let error = sandbox.files().unwrap().write("file", vec![7; 1 << 20].into()).await.unwrap_err();
    assert_eq!(error.code, Code::DiskFull, "{error:?}");
    std::fs::remove_file(&filler).unwrap();
    sandbox.kill().await.unwrap();
    assert_eq!(engine.containers().await, Vec::<String>::new());
}
