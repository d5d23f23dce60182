//! The one place that maps errors to Python classes, which are defined in `errors.py`.

use otlp2parquet_core::AppendError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Why a call failed.
pub enum Error {
    Append(AppendError),
    /// The content encoding's own format is broken: not gzip, a wrong checksum, cut short.
    Inflate(String),
    /// The decompressed payload would be larger than the bound.
    InflatedTooLarge {
        limit: usize,
    },
    Unsupported(String),
    /// The plain strings of a finish would take more than they may.
    Excess(otlp2parquet_core::Excess),
    /// Arrow refused columns that the core built: a bug here.
    Arrow(arrow_schema::ArrowError),
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Arrow(error)
    }
}

impl From<otlp2parquet_core::FinishError> for Error {
    fn from(error: otlp2parquet_core::FinishError) -> Self {
        match error {
            otlp2parquet_core::FinishError::TooLarge(excess) => Self::Excess(excess),
            otlp2parquet_core::FinishError::Arrow(error) => Self::Arrow(error),
        }
    }
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("otlp2parquet.errors")?.getattr(name)
}

fn raise(py: Python<'_>, name: &str, message: String) -> PyErr {
    match class(py, name).and_then(|class| class.call1((message,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

impl Error {
    pub fn from_inflate(error: otlp2parquet_inflate::Error, limit: usize) -> Self {
        match error {
            otlp2parquet_inflate::Error::Broken(why) => Self::Inflate(why),
            otlp2parquet_inflate::Error::TooLarge => Self::InflatedTooLarge { limit },
        }
    }

    /// The exception, an instance of a class of `errors.py`.
    pub fn into_py(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Append(error) => match &error {
                AppendError::Malformed { offset, path, .. } => {
                    let made = class(py, "DecodeError")
                        .and_then(|class| class.call1((error.to_string(), *offset, path.as_str())));
                    match made {
                        Ok(error) => PyErr::from_value(error),
                        Err(error) => error,
                    }
                }
                AppendError::TooLarge(_) => raise(py, "TooLargeError", error.to_string()),
                AppendError::Full => raise(py, "TooLargeError", error.to_string()),
            },
            Self::Inflate(message) => raise(py, "DecodeError", message),
            Self::InflatedTooLarge { limit } => raise(
                py,
                "TooLargeError",
                format!(
                    "found a payload that inflates to more than {limit} bytes, expected at most that"
                ),
            ),
            Self::Unsupported(message) => raise(py, "UnsupportedError", message),
            Self::Excess(excess) => raise(py, "TooLargeError", excess.to_string()),
            Self::Arrow(error) => PyRuntimeError::new_err(error.to_string()),
        }
    }
}
