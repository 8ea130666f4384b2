#![no_main]

libfuzzer_sys::fuzz_target!(|payload: &[u8]| ssh_lite::fuzz::messages(payload));
