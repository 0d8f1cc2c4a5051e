//! Starts a double for tests in other languages: `cloud-double daytona|northflank|e2b` prints one line of JSON that says where it is,
//! and goes on until standard input ends, so that it never outlives whoever started it. What tests may ask of it is below `/double`.
//!
//! `e2b` takes further arguments: `v1` (no second version of the API), `quiet` (no noise in messages), `plain` (no root of its own
//! for each sandbox), `forgets` (ends of processes are not remembered), `envd=VERSION`, `most=N` (sandboxes), `hours=N` (of a
//! lifetime), `keepalive-ms=N` (length of a second of keepalive).

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use vibekit_testkit::doubles::{Double, daytona, e2b, northflank, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let double: Arc<dyn Double> = match name.as_str() {
            "daytona" => daytona::Daytona::new(daytona::Settings::default()),
            "northflank" => northflank::Northflank::new(northflank::Settings::default()),
            // Its streams are more than requests with answers, so that it serves itself.
            "e2b" => {
                let double = e2b::Double::start(e2b_options(arguments)?).await?;
                return until_input_ends(&double.url()).await;
            }
            _ => return Err(format!("There is no double {name:?}.").into()),
        };
        let served = serve(double).await?;
        until_input_ends(&served.url()).await
    })
}

async fn until_input_ends(url: &str) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::json!({ "url": url }));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

fn e2b_options(arguments: impl Iterator<Item = String>) -> Result<e2b::Options, Box<dyn Error>> {
    let mut options = e2b::Options::default();
    for argument in arguments {
        match argument.split_once('=').unwrap_or((&argument, "")) {
            ("v1", _) => options.v2 = false,
            ("plain", _) => options.isolated = false,
            ("quiet", _) => options.noise = false,
            ("forgets", _) => options.keeps_exits = false,
            ("envd", version) => version.clone_into(&mut options.envd_version),
            ("most", number) => options.most = number.parse()?,
            ("hours", number) => options.hours = number.parse()?,
            ("keepalive-ms", number) => options.keepalive_second = Duration::from_millis(number.parse()?),
            (name, _) => return Err(format!("There is no option {name:?}.").into()),
        }
    }
    Ok(options)
}
