//! OTLP bytes to Arrow record batches, in one pass.
//!
//! This crate is the pure core: no Python, no I/O, no clock, no environment. Any byte string
//! gives tables or an [`AppendError`] with byte offset and field path; nothing panics, and
//! memory is bounded by [`Limits`], not by the sender. The tables are documented in
//! `docs/schema.md`, the wire rules in `wire.rs`.
#![forbid(unsafe_code)]

#[cfg(test)]
mod alike_test;
mod builder;
mod columns;
mod descriptors;
mod enums;
mod error;
mod explain;
mod fields;
mod ids;
mod limits;
mod logs;
mod metrics;
mod otlp_json;
mod owner;
mod placing;
mod renderer;
mod request;
mod schema;
mod signal;
#[cfg(test)]
mod small_tables_test;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod test_support;
mod text;
mod times;
mod traces;
mod usual;
mod value;
mod walk;
mod well_formed;
mod wire;

pub use builder::{Appended, BatchBuilder, FinishError};
pub use columns::{MakeText, TableBatch, make_checked_text};
pub use error::{AppendError, Excess, Format};
pub use limits::Limits;
pub use otlp_json::{JsonEnd, JsonForm, recognize_json};
pub use renderer::Notes;
pub use schema::{FIELD_ID_KEY, Strings, Table};
pub use signal::Signal;
