//! The one place that maps errors to Python classes, which are defined in `errors.py`.

use otlp2parquet_core::AppendError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::import_exception;
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

import_exception!(otlp2parquet.errors, DecodeError);
import_exception!(otlp2parquet.errors, TooLargeError);
import_exception!(otlp2parquet.errors, UnsupportedError);

impl Error {
    pub fn from_inflate(error: otlp2parquet_inflate::Error, limit: usize) -> Self {
        match error {
            otlp2parquet_inflate::Error::Broken(why) => Self::Inflate(why),
            otlp2parquet_inflate::Error::TooLarge => Self::InflatedTooLarge { limit },
        }
    }

    /// The exception, an instance of a class of `errors.py`.
    pub fn into_py(self) -> PyErr {
        match self {
            Self::Append(error) => match &error {
                AppendError::Malformed { offset, path, .. } => {
                    DecodeError::new_err((error.to_string(), *offset, path.clone()))
                }
                AppendError::TooLarge(_) | AppendError::Full => {
                    TooLargeError::new_err(error.to_string())
                }
            },
            Self::Inflate(message) => DecodeError::new_err(message),
            Self::InflatedTooLarge { limit } => TooLargeError::new_err(format!(
                "found a payload that inflates to more than {limit} bytes, expected at most that"
            )),
            Self::Unsupported(message) => UnsupportedError::new_err(message),
            Self::Excess(excess) => TooLargeError::new_err(excess.to_string()),
            Self::Arrow(error) => PyRuntimeError::new_err(error.to_string()),
        }
    }
}
