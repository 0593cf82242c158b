#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medplum_fuzz::raw_path::run(data));
