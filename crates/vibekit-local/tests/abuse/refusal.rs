//! Hosts that cannot give what was asked for [52, 53]: told, by step, and nothing is run in a lesser sandbox.

use serde_json::{Value, json};
use vibekit_sandbox::Code;

use crate::support::{Cage, World, host, request};

/// Creating is refused, with everything a caller needs to know, and nothing is left.
async fn refused() {
    let world = World::new(json!({ "network": "deny" }));
    let children = host::children();
    for _ in 0..2 {
        let error = world.provider.create(request()).await.err().expect("this host cannot give a sandbox");
        assert_eq!(error.code, Code::LocalSandboxUnsupported, "{error:?}");
        let missing = error.details.get("missing").and_then(Value::as_array).cloned().unwrap_or_default();
        assert!(!missing.is_empty(), "{error:?}");
        for entry in missing {
            for key in ["feature", "step", "likelyCause", "fix"] {
                assert!(entry[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {entry}");
            }
            assert!(entry["errno"].is_i64(), "{entry}");
        }
        assert!(!error.message.is_empty());
        let told = serde_json::to_string(&error).unwrap();
        assert!(!told.contains(&*world.path().to_string_lossy()), "{told}");
    }
    assert!(world.sessions().is_empty(), "{:?}", world.sessions());
    let left: Vec<_> = host::snapshot(&world.state()).into_keys().filter(|path| path.is_file()).collect();
    assert!(
        left.iter()
            .all(|path| path.ends_with("format") || path.parent().is_some_and(|of| of.ends_with("uids"))),
        "{left:?}"
    );
    crate::support::eventually("no helper is left", || host::children() <= children);
}
attack!(without_namespaces in NoNamespaces, refused());
attack!(without_user_namespaces in NoUserNamespaces, refused());
attack!(with_a_masked_proc in MaskedProc, refused());
attack!(without_mounts in NoMount, refused());
attack!(without_filters in NoSeccomp, refused());

/// A sandbox as good as any other, or none.
async fn whole_or_none() {
    let world = World::new(json!({ "network": "deny" }));
    match world.provider.create(request()).await {
        Ok(sandbox) => whole(Cage::new(sandbox).await).await,
        Err(error) => assert_eq!(error.code, Code::LocalSandboxUnsupported, "{error:?}"),
    }
}
attack!(without_memory_programs in NoMemoryPrograms, whole_or_none());
attack!(without_memory_files in NoMemoryFiles, whole_or_none());

async fn whole(cage: Cage) {
    cage.attack(&["namespaces"]).await.all_refused(20);
    cage.attack(&["mounts"]).await.all_refused(19);
    cage.attack(&["kernel"]).await.all_refused(25);
    cage.attack(&["sockets"]).await.all_refused(29);
    cage.attack(&["peers", "1"]).await.none_worked(13);
    cage.attack(&["proc", "1"]).await.none_worked_but(14, &["command line"]);
    cage.kill().await;
}

/// Landlock is one layer of several: without it the others hold on their own.
async fn fewer_layers() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut arguments = vec!["read".to_owned(), "1".to_owned()];
    arguments
        .extend(crate::support::SECRETS.iter().map(|file| world.home().join(file).display().to_string()));
    let report = cage.attack(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    report.none_worked(1);
    whole(cage).await;
}
attack!(without_landlock in NoLandlock, fewer_layers());
