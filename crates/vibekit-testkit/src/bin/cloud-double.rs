//! Starts a double for tests in other languages: `cloud-double daytona` or `cloud-double northflank` prints one line of JSON that says
//! where it is, and goes on until standard input ends. What tests may ask of it is below `/double`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::io::Read;
use std::sync::Arc;

use vibekit_testkit::doubles::{Double, daytona, northflank, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let double: Arc<dyn Double> = match name.as_str() {
            "daytona" => daytona::Daytona::new(daytona::Settings::default()),
            "northflank" => northflank::Northflank::new(northflank::Settings::default()),
            _ => return Err(format!("There is no double {name:?}.").into()),
        };
        let served = serve(double).await?;
        println!("{}", serde_json::json!({ "url": served.url() }));
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok(())
    })
}
