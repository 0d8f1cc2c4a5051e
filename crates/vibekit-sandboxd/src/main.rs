//! Init process of the embedded sandbox.

fn main() {}
