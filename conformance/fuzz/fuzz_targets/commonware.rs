#![no_main]

#[path = "../bodies/commonware.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz(data));
