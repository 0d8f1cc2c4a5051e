//! Rules are understood or refused with a remedy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vibekit_egress::{Network, Policy};

fuzz_target!(|rules: Vec<String>| {
    let empty = rules.is_empty();
    match Policy::from_options(Network::List(rules)) {
        Ok(policy) => {
            assert_eq!(policy.is_deny(), empty);
            assert_eq!(policy.capture_ports().is_empty(), empty);
        }
        Err(error) => assert!(error.message.starts_with("network.allow") && !error.hint.is_empty()),
    }
});
