//! A forwarded head reads as the same request, and a chunked body ends at the same place however it arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vibekit_egress::http::{Chunk, Chunks, HttpError, Target, request, response};

fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), HttpError> {
    let (mut chunks, mut data, mut at, mut seen) = (Chunks::default(), Vec::new(), 0, 0);
    loop {
        let (piece, used) = chunks.next(&bytes[at..seen])?;
        at += used;
        match piece {
            Chunk::Data(part) => data.extend_from_slice(part),
            Chunk::Frame => {}
            Chunk::End => return Ok((data, Some(at))),
            Chunk::More if seen == bytes.len() => return Ok((data, None)),
            Chunk::More => seen = (seen + step).min(bytes.len()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = response(bytes);
    if let Ok(Some((first, used))) = request(bytes) {
        assert!(used <= bytes.len());
        if first.target != Target::Tunnel {
            let again = request(&first.head);
            let Ok(Some((second, length))) = again else { panic!("{again:?}") };
            assert_eq!(length, first.head.len());
            assert_eq!((&second.authority, second.framing), (&first.authority, first.framing));
            assert_eq!((second.target, second.head), (Target::Origin, first.head));
        }
    }
    if let Ok(whole) = decode(bytes, bytes.len().max(1)) {
        assert_eq!(decode(bytes, 1), Ok(whole));
    }
});
