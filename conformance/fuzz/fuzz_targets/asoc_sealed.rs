#![no_main]

#[path = "../bodies/asoc_sealed.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz(data));
