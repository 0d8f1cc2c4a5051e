//! Standard input and signals.

use super::{Check, check};
use crate::conformance::trial::{Trial, Verdict, bytes, collect, ensure, shell};
use crate::{Code, Command, Stdin};

pub(super) const ALL: &[Check] = &[
    check!("no-input", "Without input a command sees the end of it at once", none),
    check!("input", "Input arrives byte for byte, then ends", given, needs stdin else refused),
    check!("piped-input", "Input can be written while the command runs, and closed", piped, needs stdin),
    check!("signals", "A signal reaches the main process", signals, needs signals),
];

async fn none(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let output = trial.run(&sandbox, shell("cat; echo end")).await?;
    ensure!(output.out() == "end\n", "It gave {:?}", output.out());
    Ok(())
}

async fn given(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let every: Vec<u8> = (0..=255).collect();
    let with = |bytes: &[u8], line: &str| Command { stdin: Stdin::Bytes(bytes.to_vec()), ..shell(line) };
    let size = trial.run(&sandbox, with(&[], "wc -c")).await?.out();
    ensure!(size.trim() == "0", "No bytes arrived as {size:?}");
    trial.run(&sandbox, with(&every, "cat >file")).await?;
    let octal: String = every.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let same = trial.run(&sandbox, shell(&format!("printf '{octal}' | cmp - file"))).await?;
    let same = match same.exit.code {
        // No `cmp` there: compare the size.
        127 => trial.sh(&sandbox, "wc -c <file").await?.trim() == "256",
        code => code == 0,
    };
    ensure!(same, "256 different bytes did not arrive as they were");
    let large = vec![b'x'; 4 << 20];
    let size = trial.run(&sandbox, with(&large, "wc -c")).await?.out();
    ensure!(size.trim() == large.len().to_string(), "{size:?} of {} bytes arrived", large.len());
    // A command that does not read all of it is not an error.
    let head = trial.run(&sandbox, with(&large, "head -c 1; exec <&-; exit 6")).await?;
    ensure!(head.out() == "x" && head.exit.code == 6, "A command that reads one byte ended as {head:?}");
    Ok(())
}

async fn refused(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let started = sandbox.spawn(Command { stdin: Stdin::Bytes(b"x".to_vec()), ..shell("cat") }).await;
    let code = started.err().map(|error| error.code);
    ensure!(code == Some(Code::Unsupported), "Input was not refused with UNSUPPORTED but with {code:?}");
    Ok(())
}

async fn piped(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "while read -r line; do echo \"got $line\"; done; echo end";
    let mut process = trial.spawn(&sandbox, Command { stdin: Stdin::Pipe, ..shell(line) }).await?;
    let control = process.control();
    for word in ["one", "two ✓"] {
        trial.within("writing", control.write(bytes(&format!("{word}\n")))).await??;
        let seen = trial.read_until(&mut *process, "\n").await?;
        ensure!(seen == format!("got {word}\n"), "After {word:?} it wrote {seen:?}");
    }
    trial.within("closing", control.close_stdin()).await??;
    trial.within("closing again", control.close_stdin()).await??;
    let output = trial.within("the end", collect(&mut *process)).await??;
    ensure!(output.out() == "end\n" && output.exit.code == 0, "It ended as {output:?}");
    let late = control.write(bytes("x")).await;
    ensure!(late.is_err(), "Writing to an input that is closed succeeds");
    Ok(())
}

async fn signals(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.1; done";
    let mut process = trial.spawn(&sandbox, shell(line)).await?;
    trial.read_until(&mut *process, "ready\n").await?;
    trial.within("sending a signal", process.control().signal(10)).await??;
    let output = trial.within("the end", collect(&mut *process)).await??;
    ensure!(output.out() == "got\n" && output.exit.code == 5, "It ended as {output:?}");
    Ok(())
}
