#![no_main]

libfuzzer_sys::fuzz_target!(|calls: &[u8]| cpud_min::net::fuzz::interface(calls));
