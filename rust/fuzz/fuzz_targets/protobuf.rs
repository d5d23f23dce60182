//! Any bytes as an export request in protobuf.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otlp2parquet_fuzz::{check, protobuf_input};

fuzz_target!(|data: &[u8]| {
    if let Some(input) = protobuf_input(data) {
        check(&input);
    }
});
