//! Files without a command, and ports.

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Check, check};
use crate::conformance::trial::{Failure, Trial, Verdict, bytes, ensure};
use crate::{Code, Command};

pub(super) const ALL: &[Check] = &[
    check!("files", "Files are written, read, listed and removed", files, needs files else no_files),
    check!("large-files", "A large file arrives whole, in both directions", large, needs files),
    check!("hostile-links", "No link leads to a file of this machine", links, needs files),
    check!("host", "A port has a name, and is reached under it", host, needs host else no_host),
];

async fn files(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let Some(files) = sandbox.files() else {
        return Err(Failure::new("It declares files, but a sandbox has none"));
    };
    let every: Vec<u8> = (0..=255).collect();
    files.write("deep/er/a b.txt", bytes("text ✓")).await?;
    files.write("/vibe0/bin", every.clone().into()).await?;
    let text = trial.sh(&sandbox, "cat 'deep/er/a b.txt'; echo more >>'deep/er/a b.txt'").await?;
    ensure!(text == "text ✓", "A command reads {text:?}");
    let read = files.read("deep/er/a b.txt").await?;
    ensure!(read == "text ✓more\n".as_bytes(), "After a command's change it holds {read:?}");
    ensure!(files.read("bin").await? == every, "256 different bytes are not read as they were written");
    files.write("bin", bytes("short")).await?;
    ensure!(files.read("/vibe0/bin").await? == "short".as_bytes(), "Writing does not replace the content");
    files.write("empty", Bytes::new()).await?;
    ensure!(files.read("empty").await?.is_empty(), "An empty file is not");
    trial.sh(&sandbox, "ln -s bin link || : >link").await?;
    let listed: Vec<_> =
        files.list(".").await?.into_iter().map(|entry| (entry.name, entry.kind, entry.size)).collect();
    let expect = [("bin", "file", 5), ("deep", "directory", 0), ("empty", "file", 0)];
    for (at, (name, kind, size)) in expect.iter().enumerate() {
        let right =
            listed.get(at).is_some_and(|entry| (entry.0.as_str(), entry.1, entry.2) == (*name, *kind, *size));
        ensure!(right, "The list is {listed:?}");
    }
    ensure!(listed.len() == 4, "The list is {listed:?}");
    files.remove("deep").await?;
    files.remove("deep").await?;
    files.remove("never-there/at-all").await?;
    let gone = trial.sh(&sandbox, "[ -e deep ] || echo gone").await?;
    ensure!(gone == "gone", "A removed directory is still there");
    for (what, result) in [
        ("Reading a file", files.read("missing").await.map(drop)),
        ("Listing a directory", files.list("missing").await.map(drop)),
    ] {
        let code = result.err().map(|error| error.code);
        ensure!(code == Some(Code::FileError), "{what} that is missing gives {code:?}, not FILE_ERROR");
    }
    Ok(())
}

async fn no_files(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    ensure!(sandbox.files().is_none(), "It declares no files, but a sandbox has some");
    Ok(())
}

async fn large(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let Some(files) = sandbox.files() else {
        return Err(Failure::new("It declares files, but a sandbox has none"));
    };
    let content: Bytes = (0..8u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    trial.within("writing 8 MiB", files.write("large", content.clone())).await??;
    let size = trial.sh(&sandbox, "wc -c <large").await?;
    ensure!(size.trim() == content.len().to_string(), "A command sees {size} bytes of {}", content.len());
    let read = trial.within("reading 8 MiB", files.read("large")).await??;
    ensure!(read == content, "8 MiB are not read as they were written ({} bytes)", read.len());
    Ok(())
}

async fn links(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let Some(files) = sandbox.files() else {
        return Err(Failure::new("It declares files, but a sandbox has none"));
    };
    let failed = |error: std::io::Error| Failure::new(format_args!("A file of this machine: {error}"));
    let place = tempfile::tempdir().map_err(failed)?;
    let secret = place.path().join("secret");
    std::fs::write(&secret, "of this machine").map_err(failed)?;
    let (folder, file) = (place.path().display(), secret.display());
    trial
        .sh(
            &sandbox,
            &format!(
                "ln -s '{file}' file; ln -s '{folder}' folder; ln -s / root; mkdir d; ln -s ../folder d/up"
            ),
        )
        .await?;
    let through_root = format!("root{file}");
    for path in ["file", "folder/secret", "d/up/secret", &through_root, &format!("../../../../..{file}")] {
        let read = files.read(path).await;
        let leaked = read.is_ok_and(|content| content == "of this machine".as_bytes());
        ensure!(!leaked, "Reading {path:?} gives a file of this machine");
        // Refused, or done inside the sandbox: both leave this machine alone.
        let _ = files.write(path, bytes("changed")).await;
        let _ = files.remove(path).await;
    }
    let _ = files.write("folder/new", bytes("x")).await;
    let now = std::fs::read_to_string(&secret).unwrap_or_default();
    ensure!(now == "of this machine", "A write or removal through a link changed a file of this machine");
    ensure!(!place.path().join("new").exists(), "A write through a link made a file on this machine");
    Ok(())
}

async fn host(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let Some((port, command)) = trial.harness.server() else {
        let name = trial.within("naming a port", sandbox.host(3000)).await??;
        ensure!(!name.is_empty(), "The name of a port is empty");
        return Ok(());
    };
    let mut server = trial.spawn(&sandbox, Command { background: trial.can.background, ..command }).await?;
    let name = trial.within("naming a port", sandbox.host(port)).await??;
    trial
        .until_nothing("The server was not reached", || async {
            let answer = match TcpStream::connect(&name).await {
                Ok(mut stream) => {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await.map(|_| text).unwrap_or_default()
                }
                Err(error) => error.to_string(),
            };
            Ok(if answer.contains("conformance") { String::new() } else { format!("{name}: {answer:?}") })
        })
        .await?;
    let again = trial.within("naming a port again", sandbox.host(port)).await??;
    ensure!(again == name, "The port was called {name}, then {again}");
    if !trial.can.background {
        drop(server);
    } else {
        let _ = server.next().await;
    }
    Ok(())
}

async fn no_host(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let code = sandbox.host(3000).await.err().map(|error| error.code);
    ensure!(code == Some(Code::Unsupported), "Naming a port gave {code:?}, not UNSUPPORTED");
    Ok(())
}
