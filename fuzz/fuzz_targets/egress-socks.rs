//! Messages are bounded, and what follows one does not change it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vibekit_egress::socks::{MAX_MESSAGE, greeting, request};

fuzz_target!(|bytes: &[u8]| {
    assert!(bytes.len() < MAX_MESSAGE || (greeting(bytes) != Ok(None) && request(bytes) != Ok(None)));
    if let Ok(Some((offers, used))) = greeting(bytes) {
        assert_eq!(greeting(&bytes[..used]), Ok(Some((offers, used))));
    }
    if let Ok(Some((found, used))) = request(bytes) {
        assert_eq!(request(&bytes[..used]), Ok(Some((found, used))));
    }
});
