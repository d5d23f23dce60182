//! Arrow out of Rust by the PyCapsule protocol: schemas, arrays, streams.
//!
//! Every capsule owns its C struct and releases it when it was not taken, as the protocol
//! demands: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>.

use std::ffi::CStr;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchIterator, StringArray, StructArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, SchemaRef};
use otlp2parquet_core::{Strings, Table, TableBatch};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyTuple};

use crate::errors::Error;

const SCHEMA_NAME: &CStr = c"arrow_schema";
const ARRAY_NAME: &CStr = c"arrow_array";
const STREAM_NAME: &CStr = c"arrow_array_stream";

/// A text array of parts that the core has made: see `otlp2parquet_core::MakeText`.
///
/// To read all text once more would be a twentieth of the decode.
pub fn make_text(
    offsets: ScalarBuffer<i32>,
    text: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<StringArray, ArrowError> {
    if cfg!(debug_assertions) {
        return otlp2parquet_core::make_checked_text(offsets, text, nulls);
    }
    // The core pushes 32-bit offsets that cannot wrap, because of bounds that it keeps on what a
    // request and a builder may hold; if it ever did not, this is where it would show.
    let end = usize::try_from(offsets.last().copied().unwrap_or(0)).unwrap_or(usize::MAX);
    if offsets.first() != Some(&0) || end != text.len() {
        let message = format!("found text of {} bytes that ends at {end}", text.len());
        return Err(ArrowError::InvalidArgumentError(message));
    }
    // SAFETY: the core's columns begin their offsets with 0 and push the length of the text so
    // far, which only grows (`truncate` cuts both); a row's text is valid UTF-8 when its offset
    // is pushed; nulls have as many bits as there are rows. The core's fuzz targets and tests
    // make every array through `make_checked_text`, which finds what would break this.
    unsafe { Ok(StringArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), text, nulls)) }
}

fn schema_capsule<'py>(py: Python<'py>, schema: &SchemaRef) -> PyResult<Bound<'py, PyCapsule>> {
    let ffi = FFI_ArrowSchema::try_from(schema.as_ref()).map_err(|e| Error::from(e).into_py())?;
    PyCapsule::new_with_value(py, ffi, SCHEMA_NAME)
}

/// The Arrow schema of a table.
#[pyclass(frozen, module = "otlp2parquet._native")]
pub struct Schema {
    schema: SchemaRef,
}

impl Schema {
    pub fn new(table: Table) -> Self {
        Self { schema: table.schema(Strings::Plain) }
    }
}

#[pymethods]
impl Schema {
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }
}

/// Takes what a capsule owns; its destructor finds nothing then.
fn take<T>(capsule: &Bound<'_, PyAny>, name: &CStr, empty: T) -> PyResult<T> {
    let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(name))?.cast::<T>();
    // SAFETY: the protocol says which struct a capsule of this name owns, that it is valid while
    // the capsule lives, and that who moves it out leaves a released one behind.
    Ok(unsafe { pointer.replace(empty) })
}

/// What `restore_batch` is given.
type Pickled<'py> = (&'static str, Option<String>, i64, Bound<'py, PyAny>);

/// A function of the package's one door to this module, by the name under which a pickle calls it:
/// who unpickles without the extension is told so.
pub fn restorer<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("otlp2parquet.core.decoder")?.getattr(name)
}

/// The batch of a pickle: the rows of a table, service and hour as an Arrow IPC stream.
#[pyfunction]
pub fn restore_batch(
    py: Python<'_>,
    table: &str,
    service: Option<&str>,
    hour: i64,
    ipc: &Bound<'_, PyBytes>,
) -> PyResult<Batch> {
    let table = crate::input::table(table)?;
    let rows = py.import("pyarrow.ipc")?.call_method1("open_stream", (ipc,))?;
    let rows = rows.call_method0("read_next_batch")?;
    let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
        rows.call_method0("__arrow_c_array__")?.extract()?;
    let schema = take(&schema, SCHEMA_NAME, FFI_ArrowSchema::empty())?;
    let array = take(&array, ARRAY_NAME, FFI_ArrowArray::empty())?;
    let restored = || {
        // SAFETY: both come from a producer of the C Data Interface, by its protocol.
        let rows = StructArray::from(unsafe { from_ffi(array, &schema) }?);
        let schema = Arc::new(arrow_schema::Schema::try_from(&schema)?);
        let rows = RecordBatch::try_new(schema, rows.columns().to_vec())?;
        TableBatch::restore(table, service.map(Arc::from), hour, &rows)
    };
    restored().map(Batch::from).map_err(|error| Error::from(error).into_py())
}

/// The rows of one table, service and hour.
#[pyclass(frozen, module = "otlp2parquet._native")]
pub struct Batch {
    batch: TableBatch,
}

impl From<TableBatch> for Batch {
    fn from(batch: TableBatch) -> Self {
        Self { batch }
    }
}

impl Batch {
    fn record_batch(&self) -> PyResult<RecordBatch> {
        self.batch.record_batch().map_err(|error| Error::from(error).into_py())
    }
}

#[pymethods]
impl Batch {
    /// The name of the table whose schema it has.
    #[getter]
    fn table(&self) -> &'static str {
        self.batch.table.name()
    }

    /// The service, None where the resource names none.
    #[getter]
    fn service(&self) -> Option<&str> {
        self.batch.service.as_deref()
    }

    /// The hour in which every row's Timestamp lies, UTC.
    #[getter]
    fn hour<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let datetime = py.import("datetime")?;
        let utc = datetime.getattr("timezone")?.getattr("utc")?;
        let arguments = PyDict::new(py);
        arguments.set_item("tz", utc)?;
        datetime.getattr("datetime")?.call_method(
            "fromtimestamp",
            (self.batch.hour * 3600,),
            Some(&arguments),
        )
    }

    /// How many rows it has.
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Pickles as an Arrow IPC stream.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Pickled<'py>)> {
        let (py, this) = (slf.py(), slf.get());
        let pyarrow = py.import("pyarrow")?;
        let rows = pyarrow.call_method1("record_batch", (slf,))?;
        let sink = pyarrow.call_method0("BufferOutputStream")?;
        let ipc = py.import("pyarrow.ipc")?;
        let stream = ipc.call_method1("new_stream", (&sink, rows.getattr("schema")?))?;
        stream.call_method1("write_batch", (rows,))?;
        stream.call_method0("close")?;
        let bytes = sink.call_method0("getvalue")?.call_method0("to_pybytes")?;
        let service = this.batch.service.as_deref().map(str::to_owned);
        Ok((restorer(py, "restore_batch")?, (this.table(), service, this.batch.hour, bytes)))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let service = self.service().into_pyobject(py)?.repr()?;
        let (table, rows) = (self.table(), self.num_rows());
        let hour = self.hour(py)?.call_method0("isoformat")?;
        Ok(format!("<Batch {table} service={service} hour={hour} num_rows={rows}>"))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.batch.schema())
    }

    /// The requested schema is a wish that the protocol allows to be passed over.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        drop(requested_schema);
        let schema = schema_capsule(py, &self.batch.schema())?;
        let array = StructArray::from(self.record_batch()?);
        let array =
            PyCapsule::new_with_value(py, FFI_ArrowArray::new(&array.to_data()), ARRAY_NAME)?;
        PyTuple::new(py, [schema, array])
    }

    /// The requested schema is a wish that the protocol allows to be passed over.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batch = self.record_batch()?;
        let schema = Arc::clone(&batch.schema());
        let reader = RecordBatchIterator::new([Ok(batch)], schema);
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM_NAME)
    }
}
