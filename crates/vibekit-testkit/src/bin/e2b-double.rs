//! The E2B double as a program: prints its URL and runs until its standard input ends, so that it never outlives whoever
//! started it. Arguments: `v1` (no second version of the API), `quiet` (no noise in messages), `plain` (no root of its own for
//! each sandbox), `envd=VERSION`, `most=N`,
//! `hours=N`, `keepalive-ms=N` (length of a second of keepalive), `forgets` (ends of processes are not remembered).

use std::io::Read;
use std::time::Duration;

use vibekit_testkit::doubles::e2b::{Double, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    for argument in std::env::args().skip(1) {
        match argument.split_once('=').unwrap_or((&argument, "")) {
            ("v1", _) => options.v2 = false,
            ("plain", _) => options.isolated = false,
            ("quiet", _) => options.noise = false,
            ("forgets", _) => options.keeps_exits = false,
            ("envd", version) => version.clone_into(&mut options.envd_version),
            ("most", number) => options.most = number.parse()?,
            ("hours", number) => options.hours = number.parse()?,
            ("keepalive-ms", number) => options.keepalive_second = Duration::from_millis(number.parse()?),
            (name, _) => return Err(format!("unknown argument {name}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let double = runtime.block_on(Double::start(options))?;
    let line = format!("{}\n", double.url());
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    // Nothing is ever written to it.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(double);
    Ok(())
}
