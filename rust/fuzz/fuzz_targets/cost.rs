//! No request costs more than its size justifies: memory, and bytes that are made or moved.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otlp2parquet_fuzz::cost::{Counting, check};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| check(data));
