//! Requests in, batches out: `BatchBuilder`, and `process_otlp` as one append and one finish.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use otlp2parquet_core as core;
use otlp2parquet_core::{Limits, Signal, Strings};
use otlp2parquet_inflate::{ContentEncoding, inflate};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::arrow::{Batch, make_text, restorer};
use crate::errors::Error;
use crate::input::{self, ContentType, Payload};

/// What an append did.
#[pyclass(frozen, module = "otlp2parquet._native")]
pub struct Appended {
    /// Rows appended.
    #[pyo3(get)]
    accepted: usize,
    /// Records left out for good.
    #[pyo3(get)]
    rejected: usize,
    /// Why records were left out or changed; empty when there is nothing to say.
    #[pyo3(get)]
    message: String,
    /// Accepted rows whose Timestamp is the receive time.
    #[pyo3(get)]
    undated: usize,
    notes: core::Notes,
}

#[pymethods]
impl Appended {
    /// What was met and is not stored, counted.
    #[getter]
    fn unstored<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core::Notes { unknown_fields, entity_refs, string_indices, without_records, .. } =
            self.notes;
        let counts = PyDict::new(py);
        counts.set_item("unknown_fields", unknown_fields)?;
        counts.set_item("entity_refs", entity_refs)?;
        counts.set_item("string_indices", string_indices)?;
        counts.set_item("without_records", without_records)?;
        Ok(counts)
    }
}

impl From<core::Appended> for Appended {
    fn from(appended: core::Appended) -> Self {
        let core::Appended { accepted, rejected, message, undated, notes } = appended;
        Self { accepted, rejected, message, undated, notes }
    }
}

/// The tables of one request.
#[pyclass(frozen, module = "otlp2parquet._native")]
pub struct Result {
    batches: Vec<Py<Batch>>,
    appended: Appended,
}

#[pymethods]
impl Result {
    /// The tables: one batch for each table, service and hour.
    #[getter]
    fn batches(&self, py: Python<'_>) -> Vec<Py<Batch>> {
        self.batches.iter().map(|batch| batch.clone_ref(py)).collect()
    }

    /// Rows in the batches.
    #[getter]
    fn accepted(&self) -> usize {
        self.appended.accepted
    }

    /// Records left out for good.
    #[getter]
    fn rejected(&self) -> usize {
        self.appended.rejected
    }

    /// Why records were left out or changed; empty when there is nothing to say.
    #[getter]
    fn message(&self) -> &str {
        &self.appended.message
    }

    /// What was met and is not stored, counted.
    #[getter]
    fn unstored<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.appended.unstored(py)
    }

    /// Pickles as its batches do.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Pickled<'py>)> {
        let (py, this) = (slf.py(), slf.get());
        let Appended { accepted, rejected, ref message, .. } = this.appended;
        let parts =
            (this.batches(py), accepted, rejected, message.clone(), this.appended.unstored(py)?);
        Ok((restorer(py, "restore_result")?, parts))
    }

    fn __repr__(&self) -> String {
        let Appended { accepted, rejected, .. } = self.appended;
        let batches = self.batches.len();
        format!("<Result of {batches} batches, accepted={accepted}, rejected={rejected}>")
    }
}

/// What `restore_result` is given.
type Pickled<'py> = (Vec<Py<Batch>>, usize, usize, String, Bound<'py, PyDict>);

/// The result of a pickle.
#[pyfunction]
pub fn restore_result(
    batches: Vec<Py<Batch>>,
    accepted: usize,
    rejected: usize,
    message: String,
    unstored: &Bound<'_, PyDict>,
) -> PyResult<Result> {
    let count = |name: &str| match unstored.get_item(name)? {
        Some(count) => count.extract(),
        None => Ok(0),
    };
    let notes = core::Notes {
        unknown_fields: count("unknown_fields")?,
        entity_refs: count("entity_refs")?,
        string_indices: count("string_indices")?,
        without_records: count("without_records")?,
        ..core::Notes::default()
    };
    Ok(Result { batches, appended: Appended { accepted, rejected, message, undated: 0, notes } })
}

fn into_batches(py: Python<'_>, batches: Vec<core::TableBatch>) -> PyResult<Vec<Py<Batch>>> {
    batches.into_iter().map(|batch| Py::new(py, Batch::from(batch))).collect()
}

/// One request's bytes and how to read them.
struct Body<'a> {
    payload: &'a [u8],
    content_type: ContentType,
    encoding: ContentEncoding,
    signal: Signal,
    received_at: u64,
}

impl Body<'_> {
    fn append_to(
        &self,
        builder: &mut core::BatchBuilder,
        limits: &Limits,
    ) -> std::result::Result<core::Appended, Error> {
        let limit = limits.payload_bytes;
        let payload = inflate(self.payload, self.encoding, limit)
            .map_err(|error| Error::from_inflate(error, limit))?;
        Ok(match self.content_type {
            ContentType::Protobuf => builder.append(&payload, self.signal, self.received_at)?,
            ContentType::Json(form) => {
                builder.append_json(&payload, form, self.signal, self.received_at)?
            }
        })
    }
}

thread_local! {
    /// An empty builder that a thread's last request left: its columns have room for another one.
    /// (One that refused a request, or came to harm in it, is not kept.)
    static IDLE: Cell<Option<Box<core::BatchBuilder>>> = const { Cell::new(None) };
}

/// One export request as tables; documented in `otlp2parquet.core`.
#[pyfunction]
#[pyo3(signature = (
    payload, signal, *, content_type = "application/x-protobuf", content_encoding = None,
    received_at = None, max_payload_bytes = 67_108_864, max_memory_bytes = None,
))]
#[allow(clippy::too_many_arguments)] // They are Python's, by name.
pub fn process_otlp(
    py: Python<'_>,
    payload: &Bound<'_, PyAny>,
    signal: &str,
    content_type: &str,
    content_encoding: Option<&str>,
    received_at: Option<u64>,
    max_payload_bytes: usize,
    max_memory_bytes: Option<usize>,
) -> PyResult<Result> {
    let limits = input::plain_limits(max_payload_bytes, max_memory_bytes)?;
    let payload = Payload::new(payload)?;
    let body = body(&payload, signal, content_type, content_encoding, received_at)?;
    let processed = py.detach(|| {
        let mut builder = IDLE.take().unwrap_or_else(|| Box::new(core::BatchBuilder::new(limits)));
        builder.set_limits(limits);
        let appended = body.append_to(&mut builder, &limits)?;
        let batches = builder.finish_with(Strings::Plain, make_text)?;
        IDLE.set(Some(builder));
        Ok((appended, batches))
    });
    let (appended, batches) = processed.map_err(|error: Error| error.into_py())?;
    Ok(Result { batches: into_batches(py, batches)?, appended: appended.into() })
}

fn body<'a>(
    payload: &'a Payload<'_>,
    signal: &str,
    content_type: &str,
    content_encoding: Option<&str>,
    received_at: Option<u64>,
) -> PyResult<Body<'a>> {
    let signal = input::signal(signal)?;
    let content_type = ContentType::from_header(content_type).map_err(|error| error.into_py())?;
    let encoding = input::content_encoding(content_encoding).map_err(|error| error.into_py())?;
    // "The epoch if it gives none."
    Ok(Body {
        payload: payload.bytes(content_type, encoding)?,
        content_type,
        encoding,
        signal,
        received_at: received_at.unwrap_or(0),
    })
}

/// Whether a body inflates to at most `limit` bytes; documented in `otlp2parquet.core`.
#[pyfunction]
pub fn inflates_within(
    payload: &Bound<'_, PyBytes>,
    content_encoding: Option<&str>,
    limit: usize,
) -> PyResult<bool> {
    let encoding = input::content_encoding(content_encoding).map_err(|error| error.into_py())?;
    // The GIL is kept: it asks for microseconds of work, and its callers bound the payload too.
    Ok(inflate(payload.as_bytes(), encoding, limit).is_ok_and(|inflated| inflated.len() <= limit))
}

/// Open builders that many requests append to; documented in `otlp2parquet.core`.
///
/// Threads that use one at the same time wait for each other, without the GIL.
#[pyclass(frozen, module = "otlp2parquet._native")]
pub struct BatchBuilder {
    builder: Mutex<core::BatchBuilder>,
    limits: Limits,
}

impl BatchBuilder {
    /// Calls `f` with the builder, once no other thread has it.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut core::BatchBuilder) -> T + Send,
    ) -> T {
        // A thread that panicked left a request behind, which the builder undoes at its next use.
        py.detach(|| f(&mut self.builder.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A figure, which takes no time unless another thread has the builder.
    fn figure(&self, py: Python<'_>, f: fn(&core::BatchBuilder) -> usize) -> usize {
        match self.builder.try_lock() {
            Ok(builder) => f(&builder),
            Err(_) => self.with(py, |builder| f(builder)),
        }
    }
}

#[pymethods]
impl BatchBuilder {
    #[new]
    #[pyo3(signature = (*, max_payload_bytes = 67_108_864))]
    fn new(max_payload_bytes: usize) -> PyResult<Self> {
        let limits = input::limits(max_payload_bytes)?;
        Ok(Self { builder: Mutex::new(core::BatchBuilder::new(limits)), limits })
    }

    /// Appends one export request, all of it or nothing.
    #[pyo3(signature = (
        payload, signal, *, content_type = "application/x-protobuf", content_encoding = None, received_at = None,
    ))]
    fn append(
        &self,
        py: Python<'_>,
        payload: &Bound<'_, PyAny>,
        signal: &str,
        content_type: &str,
        content_encoding: Option<&str>,
        received_at: Option<u64>,
    ) -> PyResult<Appended> {
        let payload = Payload::new(payload)?;
        let body = body(&payload, signal, content_type, content_encoding, received_at)?;
        let appended = self.with(py, |builder| body.append_to(builder, &self.limits));
        appended.map(Appended::from).map_err(|error| error.into_py())
    }

    /// Gives the batches of what was appended, and leaves the builder empty.
    #[pyo3(signature = (*, dictionaries = false))]
    fn finish(&self, py: Python<'_>, dictionaries: bool) -> PyResult<Vec<Py<Batch>>> {
        let strings = if dictionaries { Strings::Dictionary } else { Strings::Plain };
        let batches = self
            .with(py, |builder| builder.finish_with(strings, make_text))
            .map_err(|error| Error::from(error).into_py())?;
        into_batches(py, batches)
    }

    /// Rows appended since the last finish.
    #[getter]
    fn num_rows(&self, py: Python<'_>) -> usize {
        self.figure(py, core::BatchBuilder::num_rows)
    }

    /// Bytes that they take, as Arrow counts.
    #[getter]
    fn num_bytes(&self, py: Python<'_>) -> usize {
        self.figure(py, core::BatchBuilder::num_bytes)
    }

    /// Bytes of memory that they take, with the room for rows to come; after a finish that room.
    #[getter]
    fn num_memory_bytes(&self, py: Python<'_>) -> usize {
        self.figure(py, core::BatchBuilder::num_memory_bytes)
    }

    /// Batches that a finish would give: one for each table, service and hour.
    #[getter]
    fn num_groups(&self, py: Python<'_>) -> usize {
        self.figure(py, core::BatchBuilder::num_groups)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (rows, groups) = (self.num_rows(py), self.num_groups(py));
        format!("BatchBuilder(num_rows={rows}, num_groups={groups})")
    }
}
