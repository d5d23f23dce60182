//! OTLP bytes to Arrow record batches, in one pass.
//!
//! This crate is the pure core: no Python, no I/O, no clock, no environment. Any byte string
//! gives tables or an [`AppendError`] with byte offset and field path; nothing panics, and
//! memory is bounded by [`Limits`], not by the sender. The tables are documented in
//! `docs/schema.md`, the wire rules in `wire.rs`.
#![forbid(unsafe_code)]

mod builder;
mod columns;
mod common;
mod descriptors;
mod enums;
mod error;
mod fields;
mod limits;
mod logs;
mod metrics;
mod otlp_json;
mod placing;
mod schema;
#[cfg(test)]
mod small_tables_test;
mod text;
mod traces;
mod value;
mod wire;

pub use builder::{Appended, BatchBuilder, FinishError, Signal};
pub use columns::{MakeText, TableBatch, make_checked_text};
pub use error::{AppendError, Excess, Format};
pub use limits::Limits;
pub use otlp_json::{JsonEnd, JsonForm, recognize_json};
pub use schema::{FIELD_ID_KEY, Strings, Table};
pub use value::Notes;
