//! Where a sandbox's commands run: a view of this machine with a `/tmp`, a home and a root of its own, so that sandboxes do not
//! see each other's files and make no directories here. It is no security boundary.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Builds the view and stays in it, until its standard input ends.
const BUILD: &str = r#"
set -e
root=$1
mount -t tmpfs -o mode=755 double "$root"
for entry in /*; do
  name=${entry#/}
  case $name in tmp|home|vibe0|mnt|media) continue ;; esac
  if [ -L "$entry" ]; then cp -P "$entry" "$root/$name"
  elif [ -d "$entry" ]; then mkdir "$root/$name"; mount --rbind "$entry" "$root/$name"
  fi
done
mkdir -p "$root/home/user" "$root/double"
mkdir -m 1777 "$root/tmp"
printf '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n' >"$root/double/sudo"
chmod 755 "$root/double/sudo"
exec chroot "$root" sh -c 'cd / && echo ready && exec cat'
"#;

/// The home of every sandbox that has a view of its own.
const HOME: &str = "/home/user";

#[derive(Debug)]
pub(super) struct Room {
    /// Holds the view open. None: commands run in the plain machine.
    holder: Option<Child>,
    home: String,
    real: bool,
}

impl Room {
    /// A view of its own, built below `folder`.
    pub(super) async fn build(folder: &Path) -> io::Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", BUILD, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).await?;
        }
        if line != "ready\n" {
            return Err(io::Error::other("a view of the machine could not be built; see standard error"));
        }
        Ok(Self { holder: Some(holder), home: HOME.to_owned(), real: true })
    }

    /// The machine as it is, with a home below `folder`.
    pub(super) fn plain(folder: &Path) -> Self {
        Self { holder: None, home: folder.to_string_lossy().into_owned(), real: true }
    }

    /// No place at all: what is in it is played.
    pub(super) fn none() -> Self {
        Self { holder: None, home: HOME.to_owned(), real: false }
    }

    /// Whether anything can be run in it.
    pub(super) fn is_real(&self) -> bool {
        self.real
    }

    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// What to put before `PATH`, for `sudo`.
    pub(super) fn bin(&self, folder: &Path) -> String {
        match self.holder {
            Some(_) => "/double".to_owned(),
            None => folder.join("bin").to_string_lossy().into_owned(),
        }
    }

    fn pid(&self) -> Option<u32> {
        self.holder.as_ref().and_then(Child::id)
    }

    /// Whether there is such a directory.
    pub(super) fn is_dir(&self, path: &str) -> bool {
        match self.pid() {
            Some(pid) => Path::new(&format!("/proc/{pid}/root{path}")).is_dir(),
            None => Path::new(path).is_dir(),
        }
    }

    /// A program, started in a directory. Its process is the program's own from the beginning.
    pub(super) fn command(&self, cwd: &str, program: &str, args: &[String]) -> Command {
        const ENTER: &str = "cd -- \"$1\" || exit 125; shift; exec \"$@\"";
        let mut command = match self.pid() {
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command
                    .args([
                        "--target",
                        &pid.to_string(),
                        "--user",
                        "--mount",
                        "--root",
                        "--wd",
                        "--preserve-credentials",
                    ])
                    .args(["--", "/bin/sh"]);
                command
            }
            None => Command::new("/bin/sh"),
        };
        command.args(["-c", ENTER, "--", cwd, program]).args(args);
        command
    }

    /// Runs a short program to its end: standard output, or what it said on standard error.
    pub(super) async fn run(&self, script: &str, args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
        let mut words = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()];
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let mut child = self
            .command("/", "/bin/sh", &words)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take();
        let feed = async {
            if let Some(pipe) = &mut stdin {
                let _ = pipe.write_all(input).await;
            }
            drop(stdin);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
