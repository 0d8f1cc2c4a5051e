//! The fault suite's idea over real connections and real commands, in hundreds instead of thousands: what it leaves out are
//! the client's own sockets, pools and limits.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::json;
use vibekit_sandbox::{Code, Command, Error, Result};
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::e2b::{Double, Options};
use vibekit_testkit::doubles::faults::{Fault, FaultProxy};

use crate::faults::number;
use crate::support::{double, finish, hasty, plain, request, until, within};

/// What each case says, and how it ends.
const LINE: &str = "for i in 1 2 3 4 5 6; do echo line $i; echo err $i >&2; done; exit 7";

fn expected() -> (String, String) {
    let lines = |word: &str| (1..=6).map(|i| format!("{word} {i}\n")).collect();
    (lines("line"), lines("err"))
}

/// Every byte of one connection, or one by chance.
fn fault(seed: u64, bytes: u64) -> (usize, Fault) {
    let mut rng = Rng::new(seed);
    let connection = usize::try_from(rng.below(3)).unwrap();
    let fault = match rng.below(4) {
        0 => Fault::CutDown(rng.below(bytes)),
        1 => Fault::Reset(rng.below(bytes)),
        2 => Fault::CutUp(rng.below(2500)),
        _ => Fault::random(&mut rng, bytes),
    };
    (connection, fault)
}

async fn case(double: &Double, seed: u64) -> std::result::Result<&'static str, String> {
    let (connection, fault) = fault(seed, 1500);
    let proxy =
        FaultProxy::start(double.addr(), move |nth| if nth == connection { fault } else { Fault::None })
            .await
            .map_err(|error| error.to_string())?;
    let provider =
        hasty(&proxy.url(), json!({ "requestTimeoutMs": 20_000, "metadata": { "case": seed.to_string() } }));
    let limit = Duration::from_secs(100);
    let wrong = |what: String| format!("Case {seed}, {fault:?} on connection {connection}: {what}");
    let typed = |error: &Error| match error.code {
        Code::Internal | Code::SandboxLost => Err(wrong(format!("{error:?}"))),
        _ => Ok(()),
    };
    let made = tokio::time::timeout(limit, provider.create(request())).await;
    let sandbox = match made.map_err(|_| wrong("create hangs".to_owned()))? {
        Ok(sandbox) => sandbox,
        Err(error) => {
            typed(&error)?;
            return Ok("refused");
        }
    };
    let running = async {
        let mut process = sandbox.spawn(Command::shell(LINE)).await?;
        finish(&mut *process).await
    };
    let ran: Result<_> =
        tokio::time::timeout(limit, running).await.map_err(|_| wrong("the command hangs".to_owned()))?;
    let outcome = match ran {
        Ok((out, err, exit)) => {
            let whole = (out, err) == expected();
            if exit.code != 7 || (!whole && !exit.output_gap) {
                return Err(wrong(format!("it ended as {exit:?}, whole: {whole}")));
            }
            if exit.output_gap { "gap" } else { "whole" }
        }
        Err(error) => {
            typed(&error)?;
            "failed"
        }
    };
    for _ in 0..10 {
        let killed = tokio::time::timeout(limit, sandbox.kill()).await;
        if killed.map_err(|_| wrong("kill hangs".to_owned()))?.is_ok() {
            return Ok(outcome);
        }
    }
    Err(wrong("it could not be killed".to_owned()))
}

/// A twenty-fifth of the conversations that are played; `VIBEKIT_FAULT_TCP` plays one again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_broken() {
    let cases = number("VIBEKIT_FAULT_CASES").unwrap_or(2_000) / 25;
    let double = double(Options { most: 1000, ..plain() }).await;
    let seeds: Vec<u64> = match number("VIBEKIT_FAULT_TCP") {
        Some(seed) => vec![seed],
        None => (0..cases).collect(),
    };
    let double_ = &double;
    let outcomes: Vec<_> =
        iter(seeds.iter().map(|seed| within(case(double_, *seed)))).buffer_unordered(12).collect().await;
    let wrong: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let count = |name: &str| outcomes.iter().filter(|outcome| **outcome == Ok(name)).count();
    let tally = ["whole", "gap", "failed", "refused"].map(|name| (name, count(name)));
    eprintln!("{} connections: {tally:?}", seeds.len());
    assert!(seeds.len() == 1 || (count("whole") > 0 && count("whole") < seeds.len()), "{tally:?}");
    // What was not known to be made is looked for and ended within minutes.
    until("The end of all sandboxes", || double.sandboxes().is_empty()).await;
}
