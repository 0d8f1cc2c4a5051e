//! What is left after the worst ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use vibekit_sandbox::Code;

use crate::support::{Cage, World, eventually, host, request};

/// A process of its own that has a session with survivors in it.
struct Victim {
    child: Child,
    id: String,
    mark: String,
}

const WORLD: &str = "VIBEKIT_ABUSE_WORLD";

impl Victim {
    fn start(world: &World, options: &Value) -> Self {
        let mut child = Command::new("/proc/self/fd/0")
            .args(["--exact", "leftovers::victim", "--ignored", "--nocapture", "--test-threads=1"])
            .env(WORLD, json!({ "path": world.path(), "options": options }).to_string())
            .env(crate::support::ATTACK, crate::support::attack_path())
            .stdin(File::open("/proc/self/exe").unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| Some(line.split_once("victim: ")?.1.to_owned())).next();
        let told = told.expect("the victim did not start");
        let (id, mark) = told.split_once(' ').unwrap();
        Self { child, id: id.to_owned(), mark: mark.to_owned() }
    }

    /// Ends it as the kernel does when memory runs out.
    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn processes(&self) -> Vec<host::Seen> {
        host::processes(&self.mark)
    }

    /// Its init, as the host sees it.
    fn init(&self) -> i32 {
        init_of(&self.mark)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.end();
    }
}

fn init_of(mark: &str) -> i32 {
    let member = host::processes(mark).into_iter().next().expect("there is no process of the session");
    let session = host::session_of(&member);
    let init = session.iter().find(|seen| seen.is_init());
    init.unwrap_or_else(|| panic!("no init among {session:?}")).pid
}

fn kill_9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Not a test: the other process of the tests below.
#[test]
#[ignore = "started by the tests of this file"]
#[allow(clippy::print_stdout, reason = "how it tells its session")]
fn victim() {
    let told: Value = serde_json::from_str(&std::env::var(WORLD).unwrap()).unwrap();
    let path = PathBuf::from(told["path"].as_str().unwrap());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let provider = crate::support::provider(&path, &told["options"]).unwrap();
        let cage = Cage::new(provider.create(request()).await.unwrap()).await;
        let _running = cage.start(cage.command(&["survive", "exit"])).await;
        eventually("the survivors are there", || cage.processes().len() >= 8);
        println!("\nvictim: {} {}", cage.sandbox.id(), cage.mark);
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
}

/// The host process of an ephemeral session is killed [47].
async fn ephemeral() {
    let options = json!({ "network": "deny", "ephemeral": true });
    let world = World::new(options.clone());
    let mut victim = Victim::start(&world, &options);
    assert!(victim.processes().len() >= 8);
    let namespace = victim.processes()[0].namespace("net");
    victim.end();
    eventually("all processes are gone", || victim.processes().is_empty());
    eventually("the network is gone", || !host::foreign_namespaces("net").contains(&namespace));
    // The files go with the next process that looks.
    assert_eq!(world.sweep().await, 1);
    assert!(world.sessions().is_empty());
}
attack!(an_ephemeral_session_dies_with_its_host, ephemeral());

/// The init is killed under a living host [47].
async fn init() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut running = cage.start(cage.command(&["survive", "stay"])).await;
    running.first_line().await;
    eventually("the survivors are there", || cage.processes().len() >= 8);
    kill_9(init_of(&cage.mark));
    eventually("all processes are gone", || cage.processes().is_empty());
    let why =
        tokio::time::timeout(Duration::from_secs(5), cage.sandbox.lost()).await.expect("nobody noticed");
    assert_eq!(why.code, Code::SandboxLost, "{why:?}");
    let ended = tokio::time::timeout(Duration::from_secs(5), async {
        while let Ok(Some(_)) = running.0.next().await {}
        running.0.exit().await
    });
    let ended = ended.await.expect("the command never ended");
    assert!(
        ended.as_ref().is_err_and(|error| error.code == Code::SandboxLost)
            || ended.is_ok_and(|exit| exit.code != 0)
    );
    let refused =
        cage.try_start(cage.command(&["hold"])).await.err().expect("there is nothing to start it in");
    assert_eq!(refused.code, Code::SandboxLost, "{refused:?}");
    cage.kill().await;
    assert!(world.sessions().is_empty());
}
attack!(a_killed_init_takes_everything_along, init());

/// Both are killed; the files are found again, and then removed [47].
async fn both() {
    let options = json!({ "network": "deny" });
    let world = World::new(options.clone());
    let mut victim = Victim::start(&world, &options);
    let init = victim.init();
    victim.end();
    kill_9(init);
    eventually("all processes are gone", || victim.processes().is_empty());
    let cage = Cage::new(world.resume(&victim.id).await.unwrap()).await;
    assert!(cage.sandbox.processes_lost());
    let seen = cage.shell(&format!("ls /vibe0/{}", victim.mark)).await;
    assert_eq!(seen.exit.code, 0, "{seen:?}");
    cage.kill().await;
    assert!(world.sessions().is_empty());
}
attack!(files_outlive_both, both());

/// A persistent session outlives its host, and is ended by the next [47].
async fn persistent() {
    let options = json!({ "network": "deny" });
    let world = World::new(options.clone());
    let mut victim = Victim::start(&world, &options);
    victim.end();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!victim.processes().is_empty(), "a persistent session should have outlived its host");
    let sandbox = world.resume(&victim.id).await.unwrap();
    sandbox.kill().await.unwrap();
    eventually("all processes are gone", || victim.processes().is_empty());
    assert!(world.sessions().is_empty());
}
attack!(the_next_host_can_end_it, persistent());

/// Files as a power cut leaves them, or as nobody ever wrote them [47].
async fn torn() {
    let world = World::new(json!({ "network": "deny" }));
    let outside = world.path().join("outside");
    std::fs::write(&outside, &world.canary).unwrap();
    type Tear = (&'static str, fn(&Path, &Path));
    let tears: &[Tear] = &[
        ("half", |meta, _| {
            let content = std::fs::read(meta).unwrap();
            std::fs::write(meta, &content[..content.len() / 2]).unwrap();
        }),
        ("empty", |meta, _| std::fs::write(meta, "").unwrap()),
        ("zeros", |meta, _| std::fs::write(meta, [0; 4096]).unwrap()),
        ("not text", |meta, _| std::fs::write(meta, [0xff; 64]).unwrap()),
        ("another's", |meta, _| {
            let content = std::fs::read_to_string(meta).unwrap();
            let other = format!("lcl_{}", "z".repeat(26));
            let own = meta.parent().unwrap().file_name().unwrap().to_str().unwrap();
            std::fs::write(meta, content.replace(own, &other)).unwrap();
        }),
        ("a link", |meta, outside| {
            std::fs::remove_file(meta).unwrap();
            std::os::unix::fs::symlink(outside, meta).unwrap();
        }),
        ("a directory", |meta, _| {
            std::fs::remove_file(meta).unwrap();
            std::fs::create_dir(meta).unwrap();
        }),
        ("missing", |meta, _| std::fs::remove_file(meta).unwrap()),
        ("deep", |meta, _| std::fs::write(meta, "[".repeat(100_000)).unwrap()),
    ];
    for (name, tear) in tears {
        let cage = world.cage().await;
        let id = cage.sandbox.id().to_owned();
        let init = {
            let (_held, _) = cage.hold().await;
            init_of(&cage.mark)
        };
        cage.sandbox.release().await.unwrap();
        kill_9(init);
        eventually("all processes are gone", || cage.processes().is_empty());
        drop(cage);
        let directory = world.state().join("sessions").join(&id);
        tear(&directory.join("meta.json"), &outside);
        let error = world.resume(&id).await.err().unwrap_or_else(|| panic!("{name}: resumed"));
        let expected = [Code::StateCorrupt, Code::StateVersion, Code::StateUnwritable, Code::SessionNotFound];
        assert!(expected.contains(&error.code), "{name}: {error:?}");
        assert!(!error.message.contains(&world.canary), "{name}: {error:?}");
        // It is in nobody's way, and nothing is lost by looking.
        world.sweep().await;
        let other = world.second().create(request()).await.unwrap();
        other.kill().await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), world.canary);
}
attack!(torn_files_are_told_and_harm_nobody, torn());

/// State that names a process which is somebody else's by now [49].
async fn foreign() {
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let id = cage.sandbox.id().to_owned();
    let init = {
        let (_held, _) = cage.hold().await;
        init_of(&cage.mark)
    };
    cage.sandbox.release().await.unwrap();
    kill_9(init);
    eventually("all processes are gone", || cage.processes().is_empty());
    drop(cage);
    let directory = world.state().join("sessions").join(&id);
    let mut meta: Value =
        serde_json::from_slice(&std::fs::read(directory.join("meta.json")).unwrap()).unwrap();
    for key in ["pid", "initPid", "init", "owner"] {
        meta[key] = bystander.id().into();
    }
    std::fs::write(directory.join("meta.json"), meta.to_string()).unwrap();
    for file in ["pid", "init.pid", "owner.lock", "init.lock"] {
        std::fs::write(directory.join(file), bystander.id().to_string()).unwrap();
    }
    // Somebody else listens where the init did, and hangs up on everybody.
    let socket = directory.join("ctl.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = crate::control_socket::listen(&socket);
    let hanging_up =
        std::thread::spawn(move || crate::control_socket::hang_up(&listener, Duration::from_secs(3)));
    match world.resume(&id).await {
        Ok(sandbox) => {
            assert!(sandbox.processes_lost());
            sandbox.kill().await.unwrap();
        }
        Err(error) => assert_ne!(error.code, Code::Internal, "{error:?}"),
    }
    hanging_up.join().unwrap();
    let _second = world.second();
    assert!(bystander.try_wait().unwrap().is_none(), "a process that has nothing to do with it was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
attack!(numbers_of_processes_are_not_trusted, foreign());
