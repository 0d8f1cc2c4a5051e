//! Ids nobody gave out.

use serde_json::json;
use vibekit_sandbox::Code;

use crate::support::{World, host};

/// Ids that lead elsewhere, if anything does [5].
async fn malformed() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let real = cage.sandbox.id().to_owned();
    // Something that looks like a session where the ids lead.
    let decoy = world.path().join("decoy");
    std::fs::create_dir_all(&decoy).unwrap();
    let session = world.state().join("sessions").join(&real);
    for entry in std::fs::read_dir(&session).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), decoy.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(decoy.join("keep"), &world.canary).unwrap();
    let before = host::snapshot(&decoy);
    let long = format!("lcl_{}", "a".repeat(5000));
    let absolute = decoy.display().to_string();
    let upper = real.to_uppercase();
    let trailing = format!("{real}/");
    let dotted = format!("./{real}");
    let terminated = format!("{real}\0");
    let newline = format!("{real}\n");
    let look_alike = real.replacen('l', "\u{217c}", 1);
    let full_width = real.replacen('_', "\u{ff3f}", 1);
    for id in [
        "",
        ".",
        "..",
        "/",
        "lcl_",
        "../decoy",
        "../../decoy",
        "..%2fdecoy",
        "%2e%2e/decoy",
        "lcl_../../../decoy",
        "~",
        "*",
        "lcl_*",
        "-rf",
        "con",
        "\u{0}",
        "lcl_\u{0}",
        &absolute,
        &long,
        &upper,
        &trailing,
        &dotted,
        &terminated,
        &newline,
        &look_alike,
        &full_width,
    ] {
        let error = world.resume(id).await.err().unwrap_or_else(|| panic!("{id:?} was resumed"));
        assert!(matches!(error.code, Code::InvalidArgument | Code::SessionNotFound), "{id:?}: {error:?}");
    }
    assert_eq!(host::snapshot(&decoy), before);
    cage.works().await;
    cage.kill().await;
}
attack!(malformed_ids_lead_nowhere, malformed());

/// Well-formed ids: nobody's, and one whose directory is a link [5].
async fn well_formed() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let real = cage.sandbox.id().to_owned();
    let nobodys = format!("lcl_{}", "a".repeat(26));
    let error = world.resume(&nobodys).await.err().expect("nobody's session was resumed");
    assert_eq!(error.code, Code::SessionNotFound, "{error:?}");

    let sessions = world.state().join("sessions");
    let decoy = world.path().join("decoy");
    std::fs::create_dir_all(decoy.join("ws")).unwrap();
    for entry in std::fs::read_dir(sessions.join(&real)).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), decoy.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(decoy.join("keep"), &world.canary).unwrap();
    let before = host::snapshot(&decoy);
    let linked = format!("lcl_{}", "b".repeat(26));
    std::os::unix::fs::symlink(&decoy, sessions.join(&linked)).unwrap();
    let also_linked = format!("lcl_{}", "c".repeat(26));
    std::os::unix::fs::symlink(&real, sessions.join(&also_linked)).unwrap();
    for id in [&linked, &also_linked] {
        let error = world.resume(id).await.err().unwrap_or_else(|| panic!("{id} was resumed through a link"));
        let expected = [Code::SessionNotFound, Code::StateCorrupt, Code::StateUnwritable];
        assert!(expected.contains(&error.code), "{error:?}");
    }
    // Nor does whoever looks after old sessions follow them.
    let _second = world.second();
    let another = world.cage().await;
    another.kill().await;
    assert_eq!(host::snapshot(&decoy), before);
    cage.works().await;
    cage.kill().await;
    assert_eq!(host::snapshot(&decoy), before);
}
attack!(a_link_is_no_session, well_formed());
