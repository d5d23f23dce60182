//! `otlp2parquet._native`: the Python face of the core.
//!
//! This skin knows Python and Arrow's C Data Interface and no OTLP: it parses Python input at
//! the boundary, releases the GIL around one call per request (inflate, check, append), maps
//! errors to the classes of `otlp2parquet.errors`, and exports Arrow by the capsule protocol.

mod allocator;
mod arrow;
mod builder;
mod errors;
mod input;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use pyo3::exceptions::PyRuntimeWarning;
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::arrow::{Batch, Schema, restore_batch};
    #[pymodule_export]
    use super::builder::{
        Appended, BatchBuilder, Result, inflates_within, process_otlp, restore_result,
    };
    #[pymodule_export]
    use super::{crc32, memory_is_short, recognize_json, table_names, table_schema};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let is_debug = cfg!(debug_assertions);
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", is_debug)?;
        if is_debug {
            let warning = module.py().get_type::<PyRuntimeWarning>();
            let text = c"otlp2parquet._native is a debug build: it decodes many times slower than a release build";
            PyErr::warn(module.py(), &warning, text, 1)?;
        }
        Ok(())
    }
}

/// Whether memory is short from now on; documented in the stub.
#[pyfunction]
fn memory_is_short(py: Python<'_>, is_short: bool) -> std::ffi::c_long {
    py.detach(|| allocator::memory_is_short(is_short))
}

/// Up to here a checksum keeps the GIL, for microseconds: to get it back may take far longer.
const BRIEF_BYTES: usize = 256 << 10;

/// What `zlib.crc32` gives, many times faster, and without giving up the GIL for a small body.
#[pyfunction]
#[pyo3(signature = (data, value = 0, /))]
fn crc32(py: Python<'_>, data: &Bound<'_, pyo3::types::PyBytes>, value: u32) -> u32 {
    let bytes = data.as_bytes();
    if bytes.len() <= BRIEF_BYTES {
        return otlp2parquet_inflate::crc32(value, bytes);
    }
    py.detach(|| otlp2parquet_inflate::crc32(value, bytes))
}

/// The names of the tables, in schema order.
#[pyfunction]
fn table_names() -> Vec<&'static str> {
    otlp2parquet_core::Table::ALL.iter().map(|table| table.name()).collect()
}

/// The Arrow schema of a table.
#[pyfunction]
fn table_schema(table: &str) -> PyResult<arrow::Schema> {
    input::table(table).map(arrow::Schema::new)
}

/// Whether a text is a whole JSON document, and whose requests are in it; documented in the stub.
#[pyfunction]
fn recognize_json(
    py: Python<'_>,
    text: &Bound<'_, pyo3::types::PyBytes>,
) -> (&'static str, Vec<&'static str>) {
    use otlp2parquet_core::{JsonEnd, Signal};
    let text = text.as_bytes();
    let (end, signals) = py.detach(|| otlp2parquet_core::recognize_json(text));
    let end = match end {
        JsonEnd::Whole => "whole",
        JsonEnd::Cut => "cut",
        JsonEnd::Broken => "broken",
    };
    (end, signals.into_iter().map(Signal::name).collect())
}
