//! Output: when it comes, which stream it is of, and that every byte of it does.

use super::{Check, check};
use crate::Stream;
use crate::conformance::trial::{Trial, Verdict, collect, ensure, shell};

pub(super) const ALL: &[Check] = &[
    check!("streams", "Standard output and standard error arrive apart", streams, needs separate_streams),
    check!("live-output", "Output arrives as it is written, not at the end", live),
    check!("end-of-output", "The end of the main process ends the run, whoever holds its pipe", end),
    check!("large-output", "Large output arrives whole, also when it is read slowly", large),
    check!("binary-output", "Output arrives byte for byte", binary, needs exact_output),
    check!("cut-characters", "A character written in two pieces arrives as one", cut),
];

/// Bytes of the large output.
const LARGE: usize = 16 << 20;

async fn streams(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "i=0; while [ $i -lt 200 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done";
    let output = trial.run(&sandbox, shell(line)).await?;
    let expected = |word: &str| (0..200).map(|i| format!("{word}{i}\n")).collect::<String>();
    ensure!(output.out() == expected("out"), "Standard output is {:?}", output.out());
    ensure!(output.err() == expected("err"), "Standard error is {:?}", output.err());
    Ok(())
}

async fn live(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "echo one; while [ ! -e go ]; do sleep 0.1; done; echo two; exit 4";
    let mut process = trial.spawn(&sandbox, shell(line)).await?;
    // It cannot end before this has been seen.
    let seen = trial.read_until(&mut *process, "one\n").await?;
    ensure!(seen == "one\n", "It began with {seen:?}");
    trial.sh(&sandbox, ": >go").await?;
    let rest = trial.within("the rest of the output", collect(&mut *process)).await??;
    ensure!(rest.out() == "two\n", "It ended with {:?}", rest.out());
    ensure!(rest.exit.code == 4, "It ended with code {}", rest.exit.code);
    Ok(())
}

async fn end(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let output = trial.run(&sandbox, shell("(sleep 3000; echo late) & echo now; exit 5")).await?;
    ensure!(output.out() == "now\n" && output.exit.code == 5, "It ended as {output:?}");
    Ok(())
}

async fn large(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = format!("head -c {LARGE} /dev/zero | tr '\\0' 'a'; echo end >&2");
    let mut process = trial.spawn(&sandbox, shell(&line)).await?;
    let (mut size, mut chunks, mut wrong) = (0, 0, 0);
    while let Some((stream, bytes)) = trial.within("the next chunk", process.next()).await?? {
        if stream == Stream::Stdout {
            size += bytes.len();
            wrong += bytes.iter().filter(|byte| **byte != b'a').count();
        }
        chunks += 1;
        if chunks % 64 == 0 {
            // A reader that is slower than the writer.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let exit = process.exit().await?;
    // Without a second stream the other line is among it.
    let size = if trial.can.separate_streams { size } else { size.min(LARGE) };
    ensure!(size == LARGE, "{size} of {LARGE} bytes arrived");
    ensure!(wrong <= if trial.can.separate_streams { 0 } else { 4 }, "{wrong} bytes arrived changed");
    ensure!(exit.code == 0, "It ended with code {}", exit.code);
    Ok(())
}

async fn binary(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let octal: String = (0..=255u8).map(|byte| format!("\\{byte:03o}")).collect();
    let output = trial.run(&sandbox, shell(&format!("printf '{octal}'"))).await?;
    let expected: Vec<u8> = (0..=255).collect();
    ensure!(output.stdout == expected, "All 256 bytes arrived as {:?}", output.stdout);
    // What wires use as marks, and text that looks like their frames.
    let hostile = "\\001\\001\\001out\\002\\002\\002err\\000\\000\\000\\000\\000\\000\\000\\005\\r\\n\\r\\ndata: {\\342\\202\\n\\n";
    let output = trial.run(&sandbox, shell(&format!("printf '{hostile}'"))).await?;
    let expected = b"\x01\x01\x01out\x02\x02\x02err\0\0\0\0\0\0\0\x05\r\n\r\ndata: {\xe2\x82\n\n";
    ensure!(output.stdout == expected, "Bytes that look like frames arrived as {:?}", output.stdout);
    ensure!(output.stderr.is_empty(), "They came out of standard error: {:?}", output.stderr);
    Ok(())
}

async fn cut(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "printf 'a\\360\\237'; while [ ! -e go ]; do sleep 0.1; done; printf '\\230\\200z'";
    let mut process = trial.spawn(&sandbox, shell(line)).await?;
    trial.sh(&sandbox, "sleep 0.2; : >go").await?;
    let output = trial.within("the output", collect(&mut *process)).await??;
    ensure!(output.out() == "a😀z", "It arrived as {:?}", output.stdout);
    Ok(())
}
