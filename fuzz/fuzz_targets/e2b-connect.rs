//! A stream of the daemon tells the same however it arrives, and nothing that arrives is too much for its reader.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vibekit_providers::e2b::codec::{Batch, Decoder};

/// Everything the stream tells up to its end, or to where it is wrong: output by stream, the rest, and whether it is.
fn told(bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, String, bool) {
    let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
    let mut wrong = false;
    for piece in bytes.chunks(step) {
        decoder.push(Bytes::copy_from_slice(piece));
        wrong = batch.read(&mut decoder).is_err();
        if wrong || batch.last.is_some() {
            break;
        }
    }
    let mut output = vec![Vec::new(), Vec::new()];
    for (stream, bytes) in &batch.output {
        output[usize::from(format!("{stream:?}") == "Stderr")].extend_from_slice(bytes);
    }
    (output, format!("{:?} {:?} {}", batch.events, batch.last, batch.keepalive), wrong)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = told(bytes, bytes.len().max(1));
    assert_eq!(told(bytes, usize::from(step).max(1)), whole);
    assert_eq!(told(bytes, 1), whole);
});
