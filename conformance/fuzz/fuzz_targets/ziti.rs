#![no_main]

#[path = "../bodies/ziti.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz(data));
