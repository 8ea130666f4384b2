#![no_main]

libfuzzer_sys::fuzz_target!(|calls: &[u8]| ninep::fuzz::relay(calls));
