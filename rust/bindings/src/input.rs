//! Python arguments as the core's types; what is not one of them is an error here.

use otlp2parquet_core::{JsonForm, Limits, Signal, Table};
use otlp2parquet_inflate::ContentEncoding;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::Error;

/// A request's body as Python has it.
pub enum Payload<'py> {
    /// What nobody can change: read in place.
    Bytes(Bound<'py, PyBytes>),
    /// Text, which JSON is.
    Text(Bound<'py, PyString>),
    /// A copy of what another thread may change while it is read: bytearray, memoryview.
    Copied(Vec<u8>),
}

impl<'py> Payload<'py> {
    pub fn new(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Text(text.clone()));
        }
        let Ok(buffer) = PyBuffer::<u8>::get(object) else {
            let name = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "found a payload of type {name}, expected bytes, bytearray, memoryview, or str for JSON"
            )));
        };
        Ok(Self::Copied(buffer.to_vec(object.py())?))
    }

    /// The bytes, of a body that is written and encoded like this.
    pub fn bytes(&self, content_type: ContentType, encoding: ContentEncoding) -> PyResult<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.as_bytes()),
            Self::Copied(bytes) => Ok(bytes),
            Self::Text(text) => match (content_type, encoding) {
                (ContentType::Json(_), ContentEncoding::Identity) => Ok(text.to_str()?.as_bytes()),
                _ => Err(PyTypeError::new_err(
                    "found a payload of type str, expected bytes: only JSON that is not compressed is text",
                )),
            },
        }
    }
}

/// Reads a Content-Encoding header's value; `None` and an empty one are identity.
pub fn content_encoding(value: Option<&str>) -> Result<ContentEncoding, Error> {
    let name = value.unwrap_or("").trim();
    ContentEncoding::from_name(name).ok_or_else(|| {
        Error::Unsupported(format!(
            "found content encoding {:?}, expected gzip, zstd, deflate or identity",
            shorten(name).to_ascii_lowercase()
        ))
    })
}

/// How the payload is written.
#[derive(Clone, Copy)]
pub enum ContentType {
    Protobuf,
    Json(JsonForm),
}

impl ContentType {
    /// Reads a Content-Type header's value; parameters are ignored, case does not matter.
    pub fn from_header(value: &str) -> Result<Self, Error> {
        // As SDKs write it: nothing has to be copied.
        if value == "application/x-protobuf" {
            return Ok(Self::Protobuf);
        }
        let media_type = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/x-protobuf"
            | "application/protobuf"
            | "application/vnd.google.protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json(JsonForm::Document)),
            "application/x-ndjson" | "application/jsonl" => Ok(Self::Json(JsonForm::Lines)),
            _ => Err(Error::Unsupported(format!(
                "found content type {:?}, expected application/x-protobuf, application/json, \
                 application/x-ndjson or application/jsonl",
                shorten(&media_type)
            ))),
        }
    }
}

/// At most 64 characters of an argument for a message.
fn shorten(value: &str) -> String {
    value.chars().take(64).collect()
}

pub fn signal(name: &str) -> PyResult<Signal> {
    Signal::from_name(name).ok_or_else(|| {
        let name = shorten(name);
        PyValueError::new_err(format!("found signal {name:?}, expected logs, traces or metrics"))
    })
}

pub fn table(name: &str) -> PyResult<Table> {
    Table::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| {
        let name = shorten(name);
        let names: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        PyValueError::new_err(format!("found table {name:?}, expected one of {}", names.join(", ")))
    })
}

/// The limits of requests whose rows are finished as plain strings at once, within so much memory.
pub fn plain_limits(max_payload_bytes: usize, max_memory_bytes: Option<usize>) -> PyResult<Limits> {
    let limits = limits(max_payload_bytes)?;
    Ok(Limits { repeated_bytes: None, memory_bytes: max_memory_bytes, ..limits })
}

pub fn limits(max_payload_bytes: usize) -> PyResult<Limits> {
    if max_payload_bytes > Limits::MAX_PAYLOAD_BYTES {
        return Err(PyValueError::new_err(format!(
            "found max_payload_bytes {max_payload_bytes}, expected at most {}",
            Limits::MAX_PAYLOAD_BYTES
        )));
    }
    Ok(Limits { payload_bytes: max_payload_bytes, ..Limits::default() })
}
