//! Any bytes as an export request in JSON, or as JSON lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otlp2parquet_fuzz::{check, json_input};

fuzz_target!(|data: &[u8]| {
    if let Some(input) = json_input(data) {
        check(&input);
    }
});
