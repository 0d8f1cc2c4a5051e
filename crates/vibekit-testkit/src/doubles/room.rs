//! Where a double runs commands: the host's file system with a few folders of its own in it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Put into the environment of everything in a room, so that nothing gets away.
const MARK: &str = "DOUBLE_ROOM";

/// Makes a root of the host's folders with the room's own ones in their place, and stays, so that others can enter.
///
/// In a user namespace, so that it needs no rights; paths like `/vibe0` then mean something else in each room. It ends
/// with its input.
const KEEP: &str = r#"
root=$1
for entry in /*; do
  name=${entry#/}
  [ -e "$root/$name" ] && continue
  if [ -L "$entry" ]; then ln -s "$(readlink "$entry")" "$root/$name"
  elif [ -d "$entry" ]; then mkdir "$root/$name" && mount --rbind "$entry" "$root/$name"; fi
done 2>/dev/null
echo ready
exec cat >/dev/null
"#;

/// Folders each room has for itself.
const OWN: [&str; 4] = ["vibe0", "daemon", "tmp", "home"];

/// A place for one sandbox's commands and files.
#[derive(Debug)]
pub struct Room {
    root: PathBuf,
    mark: String,
    env: Vec<(String, String)>,
    /// Holds the namespaces.
    keeper: Mutex<Child>,
    target: String,
}

impl Room {
    /// A new one, with environment for all that runs in it.
    ///
    /// # Errors
    /// When folders cannot be made.
    pub fn new(env: Vec<(String, String)>) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(format!("vibekit-room-{mark}"));
        for name in OWN {
            std::fs::create_dir_all(root.join(name))?;
        }
        let mut keeper = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", KEEP, "room"])
            .arg(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        if said.trim() != "ready" {
            let _ = keeper.wait();
            return Err(std::io::Error::other("this machine refuses user namespaces, which a room needs"));
        }
        let target = keeper.id().to_string();
        Ok(Self { root, mark, env, keeper: Mutex::new(keeper), target })
    }

    /// Where the folder for the double's own use, `/daemon` in the room, is on the host.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.root.join("daemon")
    }

    /// Runs a program in the room to its end. Its exit code, and what it wrote to standard output and standard error.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn run(&self, program: &[&str], input: &[u8]) -> std::io::Result<(i32, Vec<u8>, String)> {
        let mut child = self.command(program).kill_on_drop(true).spawn()?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read is its own affair.
                let _ = stdin.write_all(input).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        let output = output?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code().unwrap_or(-1), output.stdout, errors))
    }

    /// A program in the room, in a process group of its own, with pipes.
    #[must_use]
    pub fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--preserve-credentials", "--user", "--mount", "--target", &self.target, "--", "chroot"])
            .arg(&self.root)
            .args(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("HOME", "/home")
            .env(MARK, &self.mark)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Ids of the processes that run in it.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let needle = format!("{MARK}={}\0", self.mark);
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                    environ.windows(needle.len()).any(|window| window == needle.as_bytes())
                })
            })
            .collect()
    }

    /// Ends all that runs in it.
    pub fn end(&self) {
        // What forks while we look is found by the next look.
        for _ in 0..50 {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                kill(pid);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// With the program `kill`, as this crate has no unsafe code.
fn kill(pid: i32) {
    let _ = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

impl Drop for Room {
    fn drop(&mut self) {
        self.end();
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = keeper.kill();
        // The mounts go with it, before the folders do.
        let _ = keeper.wait();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
