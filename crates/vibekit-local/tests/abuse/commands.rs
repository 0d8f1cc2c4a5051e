//! Commands that cannot be run, or are odd [57].

use serde_json::json;
use vibekit_sandbox::{Code, Program};

use crate::support::{Cage, World};

/// How a start came out: the error's code, or exit code and standard error.
async fn start(cage: &Cage, command: vibekit_sandbox::Command) -> Result<(i32, String), (Code, String)> {
    match cage.try_start(command).await {
        Ok(process) => {
            let output = crate::support::Running(process).output().await;
            Ok((output.exit.code, output.stdout + &output.stderr))
        }
        Err(error) => Err((error.code, error.message)),
    }
}

fn exec(program: &str, args: &[&str]) -> vibekit_sandbox::Command {
    let args = args.iter().map(|argument| (*argument).to_owned()).collect();
    vibekit_sandbox::Command::new(Program::Exec { program: program.to_owned(), args })
}

async fn programs() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let made = cage
        .shell(
            "cd /vibe0 && echo data > data && printf '#!/no/such/interpreter\\n' > script && chmod 755 script && mkdir dir \
             && printf '\\177ELF garbage' > garbage && chmod 755 garbage",
        )
        .await;
    assert_eq!(made.exit.code, 0, "{made:?}");
    let mut messages = Vec::new();
    for program in
        ["no-such-program", "/vibe0/no-such-program", "/vibe0/data", "/vibe0/dir", "/vibe0/script", ""]
    {
        let (code, message) = start(&cage, exec(program, &[])).await.expect_err(program);
        assert!(matches!(code, Code::SpawnFailed | Code::InvalidArgument), "{program:?}: {code:?} {message}");
        messages.push((program, message));
    }
    // Missing, not executable and without interpreter are different things, and the messages say so.
    let of =
        |program: &str| messages.iter().find(|(name, _)| *name == program).unwrap().1.replace(program, "");
    assert_ne!(of("no-such-program"), of("/vibe0/data"));
    assert_ne!(of("/vibe0/data"), of("/vibe0/script"));
    match start(&cage, exec("/vibe0/garbage", &[])).await {
        Ok((code, _)) => assert_ne!(code, 0),
        Err((code, _)) => assert_eq!(code, Code::SpawnFailed),
    }
    // A shell has its own codes for the same.
    assert_eq!(cage.shell("no-such-program").await.exit.code, 127);
    assert_eq!(cage.shell("/vibe0/data").await.exit.code, 126);
    cage.works().await;
    cage.kill().await;
}
attack!(what_cannot_be_run_says_why, programs());

async fn arguments() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    // The kernel takes 128 KiB per word and a quarter of the stack in all.
    let word = "a".repeat(127 << 10);
    let (code, output) = start(&cage, exec("/bin/sh", &["-c", "echo ${#1}", "sh", &word])).await.unwrap();
    assert_eq!((code, output.trim()), (0, "130048"));
    let too_long = "a".repeat(200 << 10);
    let (code, _) = start(&cage, exec("/bin/true", &[&too_long])).await.expect_err("a word of 200 KiB");
    assert_eq!(code, Code::SpawnFailed);
    let many = vec!["0123456789abcdef"; 600_000];
    let (code, _) = start(&cage, exec("/bin/true", &many)).await.expect_err("10 MB of words");
    assert_eq!(code, Code::SpawnFailed);
    let huge = "a".repeat(40 << 20);
    let (code, _) = start(&cage, exec("/bin/true", &[&huge])).await.expect_err("40 MB in a word");
    assert!(matches!(code, Code::SpawnFailed | Code::InvalidArgument), "{code:?}");
    let mut command = exec("/bin/true", &[]);
    command.env = vec![("BIG".into(), too_long.clone())];
    let (code, _) = start(&cage, command).await.expect_err("a variable of 200 KiB");
    assert_eq!(code, Code::SpawnFailed);
    for (name, value) in [("A\0B", "x"), ("A", "x\0y"), ("A=B", "x"), ("", "x")] {
        let mut command = exec("/usr/bin/env", &[]);
        command.env = vec![(name.into(), value.into())];
        if let Ok((_, output)) = start(&cage, command).await {
            assert!(!output.contains('\0'), "{name:?}={value:?} gave {output:?}");
        }
    }
    match start(&cage, exec("/bin/echo", &["a\0b"])).await {
        Err((code, _)) => assert!(matches!(code, Code::InvalidArgument | Code::SpawnFailed)),
        Ok((_, output)) => panic!("an argument with NUL became {output:?}"),
    }
    cage.works().await;
    cage.kill().await;
}
attack!(too_much_is_an_error_not_a_crash, arguments());

async fn directories() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    cage.shell(
        "cd /vibe0 && mkdir here && ln -s here link && ln -s /root out && ln -s loop loop && echo > file",
    )
    .await;
    let pwd = |cwd: &str| {
        let mut command = vibekit_sandbox::Command::shell("pwd -P");
        command.cwd = Some(cwd.to_owned());
        command
    };
    assert_eq!(start(&cage, pwd("/vibe0/here")).await, Ok((0, "/vibe0/here\n".into())));
    assert_eq!(start(&cage, pwd("/vibe0/link")).await, Ok((0, "/vibe0/here\n".into())));
    for cwd in [
        "/vibe0/absent",
        "/vibe0/out",
        "/vibe0/loop",
        "/vibe0/file",
        "/root",
        &world.home().display().to_string(),
        "/vibe0/a\0b",
    ] {
        match start(&cage, pwd(cwd)).await {
            Err((code, _)) => {
                assert!(matches!(code, Code::SpawnFailed | Code::InvalidArgument), "{cwd}: {code:?}")
            }
            Ok((code, output)) => panic!("{cwd:?} gave {code} {output:?}"),
        }
    }
    cage.works().await;
    cage.kill().await;
}
attack!(working_directories_are_inside, directories());
