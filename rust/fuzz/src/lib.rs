//! What every target does: one request into a builder, and what must hold whatever it was.
//!
//! An input's first byte says how the rest is to be read, so that one corpus holds all signals
//! and formats and the fuzzer can try a text as another's.

pub mod cost;

use otlp2parquet_core::{
    AppendError, Appended, BatchBuilder, JsonForm, Limits, Signal, Strings, TableBatch,
    recognize_json,
};

/// How a payload is to be read.
#[derive(Clone, Copy)]
pub enum Format {
    /// As protobuf.
    Protobuf,
    /// As JSON.
    Json(JsonForm),
}

/// A payload, and how to read it.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Whose export request it is.
    pub signal: Signal,
    /// How it is written.
    pub format: Format,
    /// The request's bytes.
    pub payload: &'a [u8],
}

/// Small limits, so that small inputs reach them.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        records: 40,
        nested: 30,
        groups: 6,
        attributes: 12,
        depth: 8,
        repeated_bytes: Some(4096),
        memory_bytes: Some(1 << 20),
        ..Limits::default()
    }
}

fn signal(choice: u8) -> Signal {
    [Signal::Logs, Signal::Traces, Signal::Metrics][usize::from(choice % 3)]
}

/// A protobuf payload; its first byte chose the signal.
#[must_use]
pub fn protobuf_input(data: &[u8]) -> Option<Input<'_>> {
    let (&choice, payload) = data.split_first()?;
    Some(Input { signal: signal(choice), format: Format::Protobuf, payload })
}

/// A JSON payload; its first byte chose the signal and whether it is lines.
#[must_use]
pub fn json_input(data: &[u8]) -> Option<Input<'_>> {
    let (&choice, payload) = data.split_first()?;
    let form = if choice / 3 % 4 == 3 { JsonForm::Lines } else { JsonForm::Document };
    Some(Input { signal: signal(choice), format: Format::Json(form), payload })
}

/// A payload of either format.
#[must_use]
pub fn any_input(data: &[u8]) -> Option<Input<'_>> {
    if data.first()? & 0x80 == 0 { protobuf_input(data) } else { json_input(data) }
}

/// Appends an input.
///
/// # Errors
/// Those of the builder.
pub fn append(builder: &mut BatchBuilder, input: &Input<'_>) -> Result<Appended, AppendError> {
    let Input { signal, format, payload } = *input;
    match format {
        Format::Protobuf => builder.append(payload, signal, 1),
        Format::Json(form) => builder.append_json(payload, form, signal, 1),
    }
}

/// One request into a fresh builder: tables or an error with a place, and nothing in between.
pub fn check(input: &Input<'_>) {
    let mut builder = BatchBuilder::new(limits());
    match append(&mut builder, input) {
        Ok(appended) => {
            assert_eq!(builder.num_rows(), appended.accepted);
            if appended.rejected > 0 {
                assert!(!appended.message.is_empty());
            }
            assert!(appended.message.len() < 4096);
            let mut again = BatchBuilder::new(limits());
            assert_eq!(append(&mut again, input).as_ref(), Ok(&appended));
            let (plain, coded) = (finish(&mut builder, Strings::Plain), again.num_groups());
            assert_eq!(rows(&plain), appended.accepted);
            assert_eq!(plain.len(), coded);
            assert_eq!(rows(&finish(&mut again, Strings::Dictionary)), appended.accepted);
        }
        Err(error) => {
            assert_eq!((builder.num_rows(), builder.num_groups()), (0, 0));
            assert!(finish(&mut builder, Strings::Plain).is_empty());
            if let AppendError::Malformed { offset, ref path, .. } = error {
                assert!(offset <= input.payload.len());
                assert!(path.is_ascii());
            }
            assert!(!error.to_string().is_empty());
        }
    }
    if let Format::Json(_) = input.format {
        let _ = recognize_json(input.payload);
    }
}

/// The batches of a builder.
#[must_use]
pub fn finish(builder: &mut BatchBuilder, strings: Strings) -> Vec<TableBatch> {
    builder.finish(strings).expect("columns that Arrow takes")
}

fn rows(batches: &[TableBatch]) -> usize {
    batches.iter().map(|batch| batch.num_rows()).sum()
}
