//! Answers fit a datagram and repeat the question.
#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use vibekit_egress::dns::{Code, QueryError, parse};

fuzz_target!(|bytes: &[u8]| match parse(bytes) {
    Ok(query) => {
        let answer = query.answer(Code::NoError, Some(Ipv4Addr::LOCALHOST));
        assert!(answer.len() <= 512 && answer[..2] == bytes[..2] && answer[2] & 0x80 != 0);
        assert_eq!(answer[12..answer.len() - 16], bytes[12..12 + answer.len() - 28]);
        // An answer is no question: two resolvers cannot keep each other busy.
        assert_eq!(parse(&answer), Err(QueryError::Ignore));
    }
    Err(QueryError::Reply(reply)) => assert_eq!(parse(&reply), Err(QueryError::Ignore)),
    Err(QueryError::Ignore) => {}
});
