//! The programs of the fault suite, played: what each writes, and how it ends, follows from its own number.

use std::time::Duration;

use bytes::Bytes;
use vibekit_sandbox::{Command, Program as Run, Stdin, Stream};
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::Play;
use vibekit_testkit::doubles::e2b::{Others, Performance, Program, Programs};

/// The variable that says which program it is: its number and its kind.
pub(crate) const PART: &str = "PART";
/// The variable that every command of the client has, with a value of its own.
const MARK: &str = "VIBEKIT_RUN";

/// What a program is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes, and ends.
    Finite,
    /// Writes, and goes on for ever.
    Endless,
    /// Ends, and leaves something behind that holds its output open.
    Leaves,
    /// Like the first, but called by its name instead of through a shell, with something on its standard input.
    Exec,
}

/// One program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
}

impl Part {
    pub(crate) fn name(self) -> String {
        format!("{} {:?}", self.number, self.kind)
    }

    fn parse(name: &str) -> Option<Self> {
        let (number, kind) = name.split_once(' ')?;
        let all = [Kind::Finite, Kind::Endless, Kind::Leaves, Kind::Exec];
        let kind = all.into_iter().find(|one| format!("{one:?}") == kind)?;
        Some(Self { number: number.parse().ok()?, kind })
    }

    fn pieces(self) -> Vec<(Duration, bool, Bytes)> {
        let mut rng = Rng::new(self.number);
        (0..rng.between(1, 6))
            .map(|number| {
                let text = "x".repeat(usize::try_from(rng.below(50)).unwrap_or(0));
                let line = format!("{}.{number} ✓ {text}\n", self.number);
                (Duration::from_millis(rng.below(1500)), rng.chance(30), line.into())
            })
            .collect()
    }

    /// All that it writes to a stream.
    pub(crate) fn writes(self, stream: Stream) -> Vec<u8> {
        let error = stream == Stream::Stderr;
        self.pieces()
            .into_iter()
            .filter(|piece| piece.1 == error)
            .flat_map(|piece| piece.2.to_vec())
            .collect()
    }

    pub(crate) fn code(self) -> i32 {
        i32::try_from(self.number % 120).unwrap_or(0)
    }

    pub(crate) fn command(self) -> Command {
        let env = vec![(PART.to_owned(), self.name())];
        let command = match self.kind {
            Kind::Exec => {
                let program = Run::Exec { program: "agent".to_owned(), args: vec!["--print".to_owned()] };
                Command { stdin: Stdin::Bytes(b"the prompt".to_vec()), ..Command::new(program) }
            }
            _ => Command::shell("whatever"),
        };
        Command { env, timeout_ms: (self.kind == Kind::Endless).then_some(20_000), ..command }
    }
}

/// Plays the parts, and the client's own helpers.
pub(crate) struct Stage;

impl Programs for Stage {
    fn perform(&self, program: &Program, others: &Others<'_>) -> Performance {
        let Some(part) = program.env.get(PART).and_then(|name| Part::parse(name)) else {
            let (code, said) = helper(&program.args, others);
            let output = vec![(Duration::from_millis(3), false, Bytes::from(said))];
            return Performance { play: Play { output, code, ..Play::default() }, leaves: None };
        };
        let mut output = Vec::new();
        if part.kind == Kind::Exec {
            let greeting = format!("vibekit-{}+", program.env.get(MARK).unwrap());
            output.push((Duration::from_millis(20), true, greeting.into()));
        }
        output.extend(part.pieces());
        let until = (part.kind == Kind::Endless).then(|| {
            let (sender, receiver) = tokio::sync::watch::channel(false);
            // It never becomes true, and never is given up either.
            std::mem::forget(sender);
            receiver
        });
        let leaves = (part.kind == Kind::Leaves).then_some(Duration::from_secs(5000));
        Performance { play: Play { output, until, code: part.code(), ..Play::default() }, leaves }
    }
}

/// The scripts the client runs to end a tree, to look after a process, and to make the working directory.
fn helper(args: &[String], others: &Others<'_>) -> (i32, String) {
    let [_, script, _, rest @ ..] = args else { return (0, String::new()) };
    let mark = rest.first().and_then(|word| word.strip_prefix("VIBEKIT_RUN="));
    let Some(mark) = mark else { return (0, String::new()) };
    if script.contains("kill -TERM") {
        let said = others.end(MARK, mark).iter().map(|pid| format!("{pid} agent\n")).collect();
        return (0, said);
    }
    let pid = rest.get(1).and_then(|pid| pid.parse().ok()).unwrap_or(0);
    let mut said = match others.zombie(pid) {
        Some(code) => format!("Z {}{}\n", "0 ".repeat(48), code << 8),
        None => "S 1\n".to_owned(),
    };
    if others.any(MARK, mark) {
        said.push_str("held\n");
    }
    (0, said)
}
