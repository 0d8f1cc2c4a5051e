//! Canonical names have one form, and none that a resolver reads as an address.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use vibekit_egress::host::{Authority, MAX_LABEL, MAX_NAME, Name};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = Name::from_bytes(bytes) {
        let text = name.as_str();
        assert!(
            text.len() <= MAX_NAME && text.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()))
        );
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
        assert!(text.parse::<IpAddr>().is_err());
        assert_eq!(Name::parse(text).as_ref(), Ok(&name));
    }
    if let Ok(authority) = Authority::from_bytes(bytes) {
        assert_eq!(Authority::parse(&authority.to_string()).as_ref(), Ok(&authority));
    }
});
