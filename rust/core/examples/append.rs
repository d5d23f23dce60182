//! Appends a file's request again and again: something for a profiler to look at.
//!
//! `cargo run --profile profiling --example append -- logs request.pb 1000 [plain|dictionary [20]]`,
//! the last the requests of a batch; a file that ends in `.json` is read as JSON.

use std::time::Instant;

use arrow_array::StringArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use otlp2parquet_core::{BatchBuilder, JsonForm, Limits, Signal, Strings};

/// As in the bindings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As in the bindings, which say why this is sound.
#[allow(clippy::unnecessary_wraps)]
fn trust(
    offsets: ScalarBuffer<i32>,
    text: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<StringArray, ArrowError> {
    unsafe { Ok(StringArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), text, nulls)) }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let signal = Signal::from_name(&arguments[1]).expect("logs, traces or metrics");
    let payload = std::fs::read(&arguments[2]).expect("a readable file");
    let times: usize = arguments[3].parse().expect("a number of times");
    let is_plain = arguments.get(4).is_some_and(|form| form == "plain");
    let per_batch = match arguments.get(5) {
        Some(requests) => requests.parse().expect("a number of requests"),
        None if is_plain => 1,
        None => times.min(200),
    };
    let strings = if is_plain { Strings::Plain } else { Strings::Dictionary };

    let mut builder = BatchBuilder::new(Limits::default());
    let (mut rows, mut batches) = (0, 0);
    let start = Instant::now();
    for i in 1..=times {
        let appended = if arguments[2].ends_with(".json") {
            builder.append_json(&payload, JsonForm::Document, signal, 1)
        } else {
            builder.append(&payload, signal, 1)
        };
        rows += appended.expect("a valid request").accepted;
        if i % per_batch == 0 {
            batches += builder.finish_with(strings, trust).expect("sound columns").len();
        }
    }
    let nanos = start.elapsed().as_nanos();
    println!("{rows} rows, {batches} batches, {} ns a row", nanos / rows.max(1) as u128);
}
