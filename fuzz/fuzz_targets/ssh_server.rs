#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ssh_lite::fuzz::server(input));
