//! A session and the attack in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use vibekit_sandbox::{Command, Exit, Files, Process, Program, Result, Sandbox, Stdin, Stream};

use super::{PATIENCE, Report, attack, host};

/// A session under attack.
pub(crate) struct Cage {
    /// The session.
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// Part of the name the attack has in this session and nowhere else: how the host finds its processes.
    pub(crate) mark: String,
}

/// What a finished command gave.
#[derive(Debug)]
pub(crate) struct Output {
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// How it ended.
    pub(crate) exit: Exit,
}

/// A command that runs.
pub(crate) struct Running(pub(crate) Box<dyn Process>);

impl Running {
    /// Waits for the end, or fails.
    pub(crate) async fn output(&mut self) -> Output {
        self.output_within(PATIENCE).await
    }

    /// Waits for the end at most this long, or fails.
    pub(crate) async fn output_within(&mut self, limit: Duration) -> Output {
        let done = timeout(limit, async {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            while let Some((stream, chunk)) = self.0.next().await.unwrap() {
                match stream {
                    Stream::Stdout => stdout.extend_from_slice(&chunk),
                    Stream::Stderr => stderr.extend_from_slice(&chunk),
                }
            }
            let exit = self.0.exit().await.unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Output { stdout: text(stdout), stderr: text(stderr), exit }
        });
        done.await.unwrap_or_else(|_| panic!("the command did not end within {limit:?}"))
    }

    /// Waits until the command has written a line, and gives it.
    pub(crate) async fn first_line(&mut self) -> String {
        let line = timeout(PATIENCE, async {
            let mut line = Vec::new();
            while !line.contains(&b'\n') {
                let (_, chunk) = self.0.next().await.unwrap().expect("it ended without a line");
                line.extend_from_slice(&chunk);
            }
            String::from_utf8_lossy(&line).into_owned()
        });
        line.await.expect("no line came")
    }
}

impl Cage {
    /// Puts the attack into a session.
    pub(crate) async fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        let cage = Self { sandbox, mark: format!("vk{:016x}", host::random()) };
        let path = cage.program();
        let mut bring = Command::shell(format!("cat > {path} && chmod 755 {path}"));
        bring.stdin = Stdin::Bytes(std::fs::read(attack::path()).unwrap());
        let output = cage.start(bring).await.output().await;
        assert_eq!(output.exit.code, 0, "{output:?}");
        cage
    }

    /// Path of the attack inside.
    pub(crate) fn program(&self) -> String {
        format!("/vibe0/{}", self.mark)
    }

    /// The session's files from outside.
    pub(crate) fn files(&self) -> &dyn Files {
        self.sandbox.files().unwrap()
    }

    /// The command for an attack.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let args = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Command::new(Program::Exec { program: self.program(), args })
    }

    /// Starts any command.
    pub(crate) async fn start(&self, command: Command) -> Running {
        Running(self.try_start(command).await.unwrap())
    }

    /// Starts any command that may be refused.
    pub(crate) async fn try_start(&self, command: Command) -> Result<Box<dyn Process>> {
        timeout(PATIENCE, self.sandbox.spawn(command)).await.expect("the start did not end")
    }

    /// Runs a line of shell.
    pub(crate) async fn shell(&self, line: &str) -> Output {
        self.start(Command::shell(line)).await.output().await
    }

    /// Runs an attack to its end.
    pub(crate) async fn attack(&self, arguments: &[&str]) -> Report {
        let output = self.start(self.command(arguments)).await.output().await;
        assert_eq!(output.exit.code, 0, "{arguments:?}: {output:?}");
        Report::parse(&output.stdout)
    }

    /// Starts an attack that stays, and gives its process id inside.
    pub(crate) async fn hold(&self) -> (Running, String) {
        self.hold_with(&[]).await
    }

    /// The same, with variables.
    pub(crate) async fn hold_with(&self, env: &[(&str, &str)]) -> (Running, String) {
        let mut command = self.command(&["hold"]);
        command.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut running = self.start(command).await;
        let line: serde_json::Value = serde_json::from_str(running.first_line().await.trim()).unwrap();
        let pid = line["detail"].as_str().unwrap().to_owned();
        (running, pid)
    }

    /// The session still works.
    pub(crate) async fn works(&self) {
        let output = self.shell("echo works").await;
        assert_eq!((output.stdout.as_str(), output.exit.code), ("works\n", 0), "{output:?}");
    }

    /// Its processes of the attack, seen from the host.
    pub(crate) fn processes(&self) -> Vec<host::Seen> {
        host::processes(&self.mark)
    }

    /// Ends the session; its processes must be gone with it.
    pub(crate) async fn kill(&self) {
        timeout(PATIENCE, self.sandbox.kill()).await.expect("the kill did not end").unwrap();
        super::eventually("all processes are gone", || self.processes().is_empty());
    }
}
