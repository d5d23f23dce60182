//! `otlp2parquet._native`: the Python face of the core.
//!
//! This skin knows Python and Arrow's C Data Interface and no OTLP: it parses Python input at
//! the boundary, releases the GIL around one call per request (inflate, check, append), maps
//! errors to the classes of `otlp2parquet.errors`, and exports Arrow by the capsule protocol.

mod arrow;
mod builder;
mod errors;
mod input;

use pyo3::prelude::*;

/// Columns grow by doubling and go when a batch is written: an allocator that keeps its pages
/// from one batch to the next saves the system a page fault for every 4 KiB of telemetry.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    use super::{crc32, give_pages_back, recognize_json, table_names, table_schema};

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

/// The option before the first one behind it whose number the crate knows. (A test finds the time
/// there that the allocator has by default.)
const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// From now on pages that hold nothing are given back after so many milliseconds: for a process that
/// promises a bound. Gives the milliseconds that they were kept until now.
#[pyfunction]
#[pyo3(signature = (after_millis=0))]
fn give_pages_back(after_millis: std::ffi::c_long) -> std::ffi::c_long {
    // SAFETY: both may be called at any time, and the option exists.
    unsafe {
        let before = libmimalloc_sys::mi_option_get(PURGE_DELAY);
        libmimalloc_sys::mi_option_set(PURGE_DELAY, after_millis);
        before
    }
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
