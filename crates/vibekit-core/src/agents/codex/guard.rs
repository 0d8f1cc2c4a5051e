//! What keeps Codex from changing files in `ask` mode.
//!
//! Its own read-only sandbox cannot be used: it needs a user namespace inside the sandbox around it, which refuses
//! one, and then no command runs at all, so that the agent cannot even read. Instead a `PreToolUse` hook looks at
//! every tool call before it happens and lets through commands that only read. The hook knows what is allowed, not
//! what is forbidden: what it does not recognise, another tool's call and its own failure included, is denied.

/// Programs that only read whatever their arguments are.
const READERS: &str = "cat|ls|head|tail|wc|nl|stat|pwd|cd|du|basename|dirname|realpath|readlink|cut|tr|echo|true|\
                       grep|egrep|fgrep|rg|find";

/// Subcommands of git that only read.
const GIT: &str = "log|show|diff|status|blame|ls-files|ls-tree|rev-parse|shortlog|cat-file|describe";

/// A word that means to the program what it says: bare, or in quotes as a whole or after `=`. Pieces put together
/// (`-ex'ec'`), braces, and patterns that could become an option are not among them. The input is JSON, so a double
/// quote comes with a backslash before it, and no other backslash is allowed.
const WORD: &str = r#"(-[A-Za-z0-9_./:=@,+-]*|[A-Za-z0-9_./:=@,+%^~][A-Za-z0-9_./:=@,+%^~*?-]*|(--[a-z-]+=)?('[^'"\]*'|\\"[^"\$`!]*\\"))"#;

/// Options of the programs above that write a file or run another program, git's abbreviations included.
const ESCAPES: &str = "--(pre|hostname|ou|ext|textc|op|filt)|[\"' ]-(exec|ok|delete|fprint|fls)";

/// What the agent is told instead of a result.
const DENIAL: &str = "Ask mode only reads. Allowed are cat, ls, head, tail, wc, nl, stat, grep, rg, find, \
                      sed -n 'A,Bp' and the reading commands of git, joined by | && ; and without redirection.";

/// The value of the setting `hooks.PreToolUse`, in TOML.
pub(super) fn hook() -> String {
    let command = super::invocation::toml_string(&script());
    format!("[{{matcher=\"*\",hooks=[{{type=\"command\",command={command}}}]}}]")
}

/// Reads the call as one line of JSON on standard input; ends with 0 to allow it, with 2 to deny it.
fn script() -> String {
    // No option may follow: sed takes them anywhere, and with some it writes.
    let sed = "sed -n '?[0-9]+(,[0-9]+)?p'?( +[A-Za-z0-9_./][A-Za-z0-9_./-]*)*";
    let git = format!("git( --no-pager)? ({GIT})");
    let simple = format!("({sed}|({READERS}|{git})( +{WORD})*)");
    let allowed = format!(r#""tool_input":\{{"command":" *{simple}( *(\||\|\||&&|;) *{simple})* *"\}}"#);
    format!(
        "export LC_ALL=C; call=$(cat); has() {{ printf '%s' \"$call\" | grep -Eq -e \"$1\"; }}; \
         has {} && has {} && ! has {} && exit 0; echo {} >&2; exit 2",
        single_quoted(r#""tool_name":"Bash""#),
        single_quoted(&allowed),
        single_quoted(ESCAPES),
        single_quoted(DENIAL),
    )
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::process::{Command, Stdio};

    use serde_json::json;

    use super::script;

    fn allows(tool: &str, command: &str) -> bool {
        let call = json!({
            "session_id": "x",
            "cwd": "/w",
            "hook_event_name": "PreToolUse",
            "tool_name": tool,
            "tool_input": { "command": command },
            "tool_use_id": "exec-1",
        });
        let mut child = Command::new("sh")
            .args(["-c", &script()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(call.to_string().as_bytes()).unwrap();
        match child.wait().unwrap().code() {
            Some(0) => true,
            Some(2) => false,
            other => panic!("the hook ended with {other:?}"),
        }
    }

    #[test]
    fn reading_is_allowed() {
        for command in [
            "ls",
            "ls -la src",
            "cat README.md",
            "sed -n '1,200p' src/lib.rs",
            "sed -n 1,20p src/lib.rs",
            "rg -n \"fn main\" src",
            "rg -n 'a|b > c' . | head -20",
            "grep -rn 'x' --include='*.rs' .",
            "find . -name '*.rs' -type f",
            "git status",
            "git --no-pager log --oneline -5",
            "cd src && ls; pwd",
        ] {
            assert!(allows("Bash", command), "{command}");
        }
    }

    #[test]
    fn everything_else_is_denied() {
        for command in [
            "",
            "echo x > file",
            "echo x>file",
            "cat a >> b",
            "touch file",
            "rm -rf .",
            "ls; rm file",
            "ls && touch x",
            "ls & touch x",
            "ls\ntouch x",
            "cat $(touch x)",
            "cat `touch x`",
            "cat \"$(touch x)\"",
            "ls \\\n; touch x",
            "sed -i s/a/b/ file",
            "sed -n 'w file' x",
            "sed -n '1,2p;w file' x",
            "sed -n 1p -i file",
            "sed -n 1p '-i' file",
            "find . -delete",
            "find . -exec rm {} +",
            "find . '-delete'",
            "find . -fprint out",
            "git log --output=file",
            "git -c core.pager=sh log",
            "git checkout .",
            "git grep -Osh x",
            "git log --outp=x",
            "find . -ex'ec' rm",
            "find . -\"delete\"",
            "find . -{delete,x}",
            "find *",
            "find . -del*",
            "rg --pre sh x",
            "sort -o file x",
            "tee file",
            "python3 -c 1",
            "FOO=1 touch x",
            "cat <(touch x)",
            "ls | xargs rm",
            "{ touch x; }",
            "cat '\"},\"tool_input\":{\"command\":\"ls\"}' > x",
        ] {
            assert!(!allows("Bash", command), "{command}");
        }
        assert!(!allows("apply_patch", "*** Begin Patch\n*** Add File: x\n+x\n*** End Patch\n"));
        assert!(!allows("mcp__server__tool", "ls"));
    }
}
