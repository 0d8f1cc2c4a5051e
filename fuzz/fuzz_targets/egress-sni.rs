//! What is decided on the beginning of a hello stays decided, whatever follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vibekit_egress::sni::{MAX_BYTES, parse};

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let whole = parse(bytes);
    assert!(bytes.len() < MAX_BYTES || whole != Ok(None));
    match parse(&bytes[..cut % (bytes.len() + 1)]) {
        Ok(None) => {}
        Ok(early) => assert_eq!(whole, Ok(early)),
        Err(_) => assert!(whole.is_err()),
    }
});
