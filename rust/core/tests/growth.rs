//! Text grows at most eightfold when it is rendered: what a column's 32-bit offsets, which nobody
//! checks again (`MakeText`), rest on.

use arrow_array::{Array, ListArray, RecordBatch, StringArray};
use otlp2parquet_core::{BatchBuilder, Limits, Signal, Strings};

mod support;
use support::field;

/// The most that a column of a request's text takes of each of its bytes (`limits.rs`).
const MOST: usize = 8;

/// A request of one scope that holds a record so many times.
fn request(record: &[u8], times: usize) -> Vec<u8> {
    field(1, &field(2, &field(2, record).repeat(times)))
}

/// The longest text column of a batch, texts within lists included.
fn longest(batch: &RecordBatch) -> usize {
    let text = |array: &dyn Array| match array.as_any().downcast_ref::<StringArray>() {
        Some(texts) => *texts.value_offsets().last().unwrap_or(&0) as usize,
        None => 0,
    };
    let of_lists = |array: &dyn Array| match array.as_any().downcast_ref::<ListArray>() {
        Some(lists) => text(lists.values()),
        None => text(array),
    };
    batch.columns().iter().map(|column| of_lists(column)).max().unwrap_or(0)
}

#[track_caller]
fn holds(signal: Signal, record: &[u8], times: usize) {
    let payload = request(record, times);
    // Within what a request may render; a column of the few allowed is the longest.
    let mut builder = BatchBuilder::new(Limits::default());
    let appended = builder.append(&payload, signal, 1).unwrap();
    assert!(appended.accepted > 0, "{}", appended.message);
    // Values that rows share are a dictionary here, so all other text was in the request.
    for batch in builder.finish(Strings::Dictionary).unwrap() {
        let longest = longest(&batch.record_batch().unwrap());
        let bytes = payload.len();
        assert!(longest <= MOST * bytes, "{bytes} bytes became {longest}");
    }
}

/// A key-value of a text, and of bytes.
fn attribute(number: u8, text: &[u8]) -> Vec<u8> {
    [field(1, b""), field(2, &field(number, text))].concat()
}

#[test]
fn text_that_grows_most_grows_at_most_eightfold() {
    for content in [&[0x01][..], &[0xff], b"\"", &[0xf0, 0x9f]] {
        for len in [0, 1, 7, 64, 4096] {
            let text = content.repeat(len);
            for times in [1, 50] {
                holds(Signal::Logs, &field(5, &field(1, &text)), times);
                holds(Signal::Logs, &field(6, &attribute(1, &text)), times);
                holds(Signal::Logs, &field(6, &attribute(7, &text)), times);
                holds(Signal::Traces, &field(11, &field(3, &attribute(1, &text))), times);
            }
        }
    }
}

#[test]
fn empty_messages_grow_at_most_eightfold() {
    // Lists of empty values, of empty key-values; and attributes, events and links of nothing.
    let empty = |number: u8, count: usize| field(number, b"").repeat(count);
    for count in [1, 3, 50, 900] {
        holds(Signal::Logs, &field(5, &field(5, &empty(1, count))), 3);
        holds(Signal::Logs, &field(5, &field(6, &empty(1, count))), 3);
        holds(Signal::Logs, &empty(6, count), 3);
        holds(Signal::Traces, &empty(11, count), 3);
        holds(Signal::Traces, &empty(13, count), 3);
    }
    // Lists in lists as deep as they go.
    let mut value = Vec::new();
    for _ in 0..60 {
        value = field(5, &field(1, &value));
    }
    holds(Signal::Logs, &field(5, &value), 20);
}

#[test]
fn exemplars_grow_at_most_eightfold() {
    // Gauge, of a point of so many empty exemplars and such with every short field.
    let short = [&[0x11][..], &[0; 8], &[0x31], &[0xff; 8], &[0x22, 1, 1, 0x2a, 1, 1]].concat();
    for exemplar in [&[][..], &short] {
        for count in [1, 40, 900] {
            let point = field(5, exemplar).repeat(count);
            holds(Signal::Metrics, &field(5, &field(1, &point)), 2);
        }
    }
}
