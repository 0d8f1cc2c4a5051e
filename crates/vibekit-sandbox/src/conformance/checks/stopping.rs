//! Ending commands before they end by themselves: with all their descendants, however those have hidden.

use std::sync::Arc;
use std::time::Duration;

use super::{Check, check};
use crate::conformance::trial::{Failure, Trial, Verdict, collect, dropped_at, ensure, shell};
use crate::{Command, Sandbox};

pub(super) const ALL: &[Check] = &[
    check!("time-limit", "A time limit ends the whole tree, and the result says so", time_limit, needs stop),
    check!("stop", "Stopping ends the whole tree, and the result says what that took", stop, needs stop),
    check!("forgotten-command", "A command nobody waits for any more is ended", forgotten, needs stop),
    check!("forgotten-start", "A start given up at any step leaves no process", forgotten_start, needs stop),
];

/// Waits of a future that are tried, at most.
const STEPS: usize = 64;

/// A child, one that ignores TERM, an orphan that ignores both, and one in a session of its own where there is `setsid`.
/// Each writes down its process id.
const TREE: &str = r#"
loop='echo $$ >>pids; while :; do sleep 1; done'
sh -c "$loop" &
sh -c "trap '' TERM; $loop" &
(sh -c "trap '' TERM HUP; $loop" </dev/null >/dev/null 2>&1 &)
count=3
if command -v setsid >/dev/null; then
  setsid sh -c "trap '' TERM; $loop" </dev/null >/dev/null 2>&1 &
  count=4
fi
while [ "$(cat pids 2>/dev/null | wc -l)" -lt $count ]; do sleep 0.1; done
echo ready
wait
"#;

/// Waits until none of the processes that wrote themselves down is there.
async fn until_dead(trial: &Trial<'_>, sandbox: &Arc<dyn Sandbox>) -> Verdict {
    let line = "for pid in $(cat pids); do kill -0 $pid 2>/dev/null && echo $pid; done; true";
    trial.until_nothing("These processes are still there", || trial.sh(sandbox, line)).await
}

async fn time_limit(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let exit = trial.run(&sandbox, Command { timeout_ms: Some(300), ..shell("sleep 1000") }).await?.exit;
    ensure!(exit.timed_out && exit.code != 0, "A simple command ended as {exit:?}");
    // Enough for the tree to be there, also on a busy machine.
    let command = Command { timeout_ms: Some(4000), ..shell(TREE) };
    let output = trial.run(&sandbox, command).await?;
    ensure!(output.out() == "ready\n", "The tree wrote {:?} and {:?}", output.out(), output.err());
    ensure!(output.exit.timed_out, "It does not say that its time was over: {:?}", output.exit);
    let Some(stopped) = output.exit.stopped else {
        return Err(Failure::new("It does not say what was stopped"));
    };
    ensure!(stopped.processes >= 1, "It says that {} processes were stopped", stopped.processes);
    until_dead(trial, &sandbox).await?;
    let fine = trial.run(&sandbox, Command { timeout_ms: Some(60_000), ..shell("exit 7") }).await?.exit;
    ensure!(fine.code == 7 && !fine.timed_out, "A command within its limit ended as {fine:?}");
    Ok(())
}

async fn stop(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let mut process = trial.spawn(&sandbox, shell(TREE)).await?;
    trial.read_until(&mut *process, "ready\n").await?;
    let control = process.control();
    trial.within("stopping", control.stop(Duration::from_millis(300))).await??;
    let output = trial.within("the end", collect(&mut *process)).await??;
    ensure!(!output.exit.timed_out, "It says that a time limit ended it");
    ensure!(output.exit.stopped.is_some(), "It does not say that it was stopped: {:?}", output.exit);
    until_dead(trial, &sandbox).await?;
    // Once more, after the end.
    trial.within("stopping what has ended", control.stop(Duration::ZERO)).await??;

    // A command that ends politely keeps its exit code.
    let line = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let mut process = trial.spawn(&sandbox, shell(line)).await?;
    trial.read_until(&mut *process, "ready\n").await?;
    trial.within("stopping", process.control().stop(Duration::from_secs(10))).await??;
    let output = trial.within("the end", collect(&mut *process)).await??;
    ensure!(output.out() == "bye\n" && output.exit.code == 9, "A polite command ended as {output:?}");
    Ok(())
}

async fn forgotten(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let mut process = trial.spawn(&sandbox, shell(TREE)).await?;
    trial.read_until(&mut *process, "ready\n").await?;
    drop(process);
    until_dead(trial, &sandbox).await
}

async fn forgotten_start(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    trial.sh(&sandbox, ": >pids").await?;
    for late in [false, true] {
        for step in 1..=STEPS {
            let command = shell("echo $$ >>pids; exec sleep 1000");
            match dropped_at(sandbox.spawn(command), step, late).await {
                None => {}
                Some(started) => {
                    drop(started?);
                    break;
                }
            }
        }
    }
    // Those on their way may yet write themselves down; a sandbox that is idle twice in a row is idle.
    for _ in 0..2 {
        until_dead(trial, &sandbox).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}
