//! The field tags of OTLP 1.11 (`number << 3 | wire type`), as in opentelemetry-proto v1.11.0.
//!
//! Readers match on whole tags, so "a known field with another wire type is an unknown field"
//! needs no code of its own.

use crate::wire::{FIXED32, FIXED64, LEN, VARINT};

const fn tag(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

macro_rules! tags {
    ($($message:ident { $($field:ident = $number:literal $wire:ident),* $(,)? })*) => {
        $(pub(crate) mod $message {
            use super::*;
            $(pub(crate) const $field: u32 = tag($number, $wire);)*
        })*
    };
}

tags! {
    any_value {
        STRING_VALUE = 1 LEN, BOOL_VALUE = 2 VARINT, INT_VALUE = 3 VARINT, DOUBLE_VALUE = 4 FIXED64,
        ARRAY_VALUE = 5 LEN, KVLIST_VALUE = 6 LEN, BYTES_VALUE = 7 LEN, STRING_VALUE_STRINDEX = 8 VARINT,
    }
    array_value { VALUES = 1 LEN }
    key_value_list { VALUES = 1 LEN }
    key_value { KEY = 1 LEN, VALUE = 2 LEN, KEY_STRINDEX = 3 VARINT }
    resource { ATTRIBUTES = 1 LEN, DROPPED_ATTRIBUTES_COUNT = 2 VARINT, ENTITY_REFS = 3 LEN }
    scope { NAME = 1 LEN, VERSION = 2 LEN, ATTRIBUTES = 3 LEN, DROPPED_ATTRIBUTES_COUNT = 4 VARINT }

    // ExportLogsServiceRequest, ExportTraceServiceRequest and ExportMetricsServiceRequest share
    // their shape, and so do the Resource… and Scope… messages below them.
    request { RESOURCES = 1 LEN }
    // Before 2022 a scope was an instrumentation library, in a list of its own.
    resource_records { RESOURCE = 1 LEN, SCOPES = 2 LEN, SCHEMA_URL = 3 LEN, LIBRARIES = 1000 LEN }
    scope_records { SCOPE = 1 LEN, RECORDS = 2 LEN, SCHEMA_URL = 3 LEN }

    log_record {
        TIME_UNIX_NANO = 1 FIXED64, SEVERITY_NUMBER = 2 VARINT, SEVERITY_TEXT = 3 LEN, BODY = 5 LEN,
        ATTRIBUTES = 6 LEN, DROPPED_ATTRIBUTES_COUNT = 7 VARINT, FLAGS = 8 FIXED32, TRACE_ID = 9 LEN,
        SPAN_ID = 10 LEN, OBSERVED_TIME_UNIX_NANO = 11 FIXED64, EVENT_NAME = 12 LEN,
    }

    span {
        TRACE_ID = 1 LEN, SPAN_ID = 2 LEN, TRACE_STATE = 3 LEN, PARENT_SPAN_ID = 4 LEN, NAME = 5 LEN,
        KIND = 6 VARINT, START_TIME_UNIX_NANO = 7 FIXED64, END_TIME_UNIX_NANO = 8 FIXED64,
        ATTRIBUTES = 9 LEN, DROPPED_ATTRIBUTES_COUNT = 10 VARINT, EVENTS = 11 LEN,
        DROPPED_EVENTS_COUNT = 12 VARINT, LINKS = 13 LEN, DROPPED_LINKS_COUNT = 14 VARINT,
        STATUS = 15 LEN, FLAGS = 16 FIXED32,
    }
    event { TIME_UNIX_NANO = 1 FIXED64, NAME = 2 LEN, ATTRIBUTES = 3 LEN, DROPPED_ATTRIBUTES_COUNT = 4 VARINT }
    link {
        TRACE_ID = 1 LEN, SPAN_ID = 2 LEN, TRACE_STATE = 3 LEN, ATTRIBUTES = 4 LEN,
        DROPPED_ATTRIBUTES_COUNT = 5 VARINT, FLAGS = 6 FIXED32,
    }
    status { MESSAGE = 2 LEN, CODE = 3 VARINT }

    metric {
        NAME = 1 LEN, DESCRIPTION = 2 LEN, UNIT = 3 LEN, GAUGE = 5 LEN, SUM = 7 LEN, HISTOGRAM = 9 LEN,
        EXPONENTIAL_HISTOGRAM = 10 LEN, SUMMARY = 11 LEN, METADATA = 12 LEN,
        // Kinds of OTLP 0.8, whose points are others.
        INT_GAUGE = 4 LEN, INT_SUM = 6 LEN, INT_HISTOGRAM = 8 LEN,
    }
    // Gauge, Sum, Histogram, ExponentialHistogram and Summary: what each has of these.
    data { POINTS = 1 LEN, AGGREGATION_TEMPORALITY = 2 VARINT, IS_MONOTONIC = 3 VARINT }
    number_data_point {
        START_TIME_UNIX_NANO = 2 FIXED64, TIME_UNIX_NANO = 3 FIXED64, AS_DOUBLE = 4 FIXED64,
        EXEMPLARS = 5 LEN, AS_INT = 6 FIXED64, ATTRIBUTES = 7 LEN, FLAGS = 8 VARINT, LABELS = 1 LEN,
    }
    histogram_data_point {
        START_TIME_UNIX_NANO = 2 FIXED64, TIME_UNIX_NANO = 3 FIXED64, COUNT = 4 FIXED64, SUM = 5 FIXED64,
        BUCKET_COUNTS = 6 FIXED64, BUCKET_COUNTS_PACKED = 6 LEN, EXPLICIT_BOUNDS = 7 FIXED64,
        EXPLICIT_BOUNDS_PACKED = 7 LEN, EXEMPLARS = 8 LEN, ATTRIBUTES = 9 LEN, FLAGS = 10 VARINT,
        MIN = 11 FIXED64, MAX = 12 FIXED64, LABELS = 1 LEN,
    }
    exponential_histogram_data_point {
        ATTRIBUTES = 1 LEN, START_TIME_UNIX_NANO = 2 FIXED64, TIME_UNIX_NANO = 3 FIXED64, COUNT = 4 FIXED64,
        SUM = 5 FIXED64, SCALE = 6 VARINT, ZERO_COUNT = 7 FIXED64, POSITIVE = 8 LEN, NEGATIVE = 9 LEN,
        FLAGS = 10 VARINT, EXEMPLARS = 11 LEN, MIN = 12 FIXED64, MAX = 13 FIXED64, ZERO_THRESHOLD = 14 FIXED64,
    }
    buckets { OFFSET = 1 VARINT, BUCKET_COUNTS = 2 VARINT, BUCKET_COUNTS_PACKED = 2 LEN }
    summary_data_point {
        START_TIME_UNIX_NANO = 2 FIXED64, TIME_UNIX_NANO = 3 FIXED64, COUNT = 4 FIXED64, SUM = 5 FIXED64,
        QUANTILE_VALUES = 6 LEN, ATTRIBUTES = 7 LEN, FLAGS = 8 VARINT, LABELS = 1 LEN,
    }
    value_at_quantile { QUANTILE = 1 FIXED64, VALUE = 2 FIXED64 }
    exemplar {
        TIME_UNIX_NANO = 2 FIXED64, AS_DOUBLE = 3 FIXED64, SPAN_ID = 4 LEN, TRACE_ID = 5 LEN,
        AS_INT = 6 FIXED64, FILTERED_ATTRIBUTES = 7 LEN,
    }
}
