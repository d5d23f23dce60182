//! The signals of OTLP: their names, and the messages that carry them.

use crate::fields::{Descriptor, LOGS_REQUEST, METRICS_REQUEST, TRACES_REQUEST};

/// What an OTLP export request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// ExportLogsServiceRequest.
    Logs,
    /// ExportTraceServiceRequest.
    Traces,
    /// ExportMetricsServiceRequest.
    Metrics,
}

impl Signal {
    /// The signal of a name as in OTLP/HTTP paths: `logs`, `traces`, `metrics`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "logs" => Some(Self::Logs),
            "traces" => Some(Self::Traces),
            "metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    /// The name that [`Signal::from_name`] takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// The message that its export request is.
    pub(crate) fn descriptor(self) -> &'static Descriptor {
        match self {
            Self::Logs => &LOGS_REQUEST,
            Self::Traces => &TRACES_REQUEST,
            Self::Metrics => &METRICS_REQUEST,
        }
    }

    /// How answers call the records: the names of OTLP's `rejected_*` fields.
    pub(crate) fn records(self) -> &'static str {
        match self {
            Self::Logs => "log records",
            Self::Traces => "spans",
            Self::Metrics => "data points",
        }
    }
}
