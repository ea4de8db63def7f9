#![no_main]

#[path = "../bodies/iut_line.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz(data));
