//! The messages of OTLP 1.11 as data: for checking what is not stored, and for naming places.
//!
//! Two uses, both off the hot path. `check` decides whether bytes are a well-formed message
//! where the tables have no use for it: a rejected record, the loser of a `oneof`. `locate`
//! names the field path of an address. The readers in `logs.rs`, `traces.rs` and `metrics/`
//! accept exactly what `check` accepts; a test compares the two with the official parser.

use crate::error::{Fault, Malformed};
use crate::wire::{Cursor, LEN};

/// How a field's bytes are read when they come length-delimited.
#[derive(Clone, Copy)]
enum Kind {
    /// A singular submessage.
    Message(&'static Descriptor),
    /// A repeated submessage.
    Messages(&'static Descriptor),
    /// Repeated 64-bit values, possibly packed.
    Fixed64s,
    /// Repeated varints, possibly packed.
    Varints,
    /// Anything whose content is not looked into: text, bytes.
    Plain,
}

pub(crate) struct Descriptor {
    fields: &'static [(u32, &'static str, Kind)],
    /// An array or key-value list: one level of nesting.
    nests: bool,
}

impl Descriptor {
    fn field(&self, number: u32) -> Option<(&'static str, Kind)> {
        self.fields.iter().find(|f| f.0 == number).map(|f| (f.1, f.2))
    }
}

macro_rules! message {
    ($name:ident { $($number:literal $field:literal $kind:expr),* $(,)? }) => {
        message!($name, false, $($number $field $kind),*);
    };
    ($name:ident, $nests:literal, $($number:literal $field:literal $kind:expr),*) => {
        pub(crate) static $name: Descriptor = Descriptor {
            fields: &[$(($number, $field, $kind)),*],
            nests: $nests,
        };
    };
}

use Kind::{Fixed64s, Message, Messages, Plain, Varints};

message!(ANY_VALUE { 1 "string_value" Plain, 5 "array_value" Message(&ARRAY_VALUE), 6 "kvlist_value" Message(&KEY_VALUE_LIST), 7 "bytes_value" Plain });
message!(ARRAY_VALUE, true, 1 "values" Messages(&ANY_VALUE));
message!(KEY_VALUE_LIST, true, 1 "values" Messages(&KEY_VALUE));
message!(KEY_VALUE { 1 "key" Plain, 2 "value" Message(&ANY_VALUE) });
message!(ENTITY_REF { 1 "schema_url" Plain, 2 "type" Plain, 3 "id_keys" Plain, 4 "description_keys" Plain });
message!(RESOURCE { 1 "attributes" Messages(&KEY_VALUE), 3 "entity_refs" Messages(&ENTITY_REF) });
message!(SCOPE { 1 "name" Plain, 2 "version" Plain, 3 "attributes" Messages(&KEY_VALUE) });

message!(LOGS_REQUEST { 1 "resource_logs" Messages(&RESOURCE_LOGS) });
message!(RESOURCE_LOGS { 1 "resource" Message(&RESOURCE), 2 "scope_logs" Messages(&SCOPE_LOGS), 3 "schema_url" Plain, 1000 "instrumentation_library_logs" Messages(&SCOPE_LOGS) });
message!(SCOPE_LOGS { 1 "scope" Message(&SCOPE), 2 "log_records" Messages(&LOG_RECORD), 3 "schema_url" Plain });
message!(LOG_RECORD { 3 "severity_text" Plain, 5 "body" Message(&ANY_VALUE), 6 "attributes" Messages(&KEY_VALUE), 9 "trace_id" Plain, 10 "span_id" Plain, 12 "event_name" Plain });

message!(TRACES_REQUEST { 1 "resource_spans" Messages(&RESOURCE_SPANS) });
message!(RESOURCE_SPANS { 1 "resource" Message(&RESOURCE), 2 "scope_spans" Messages(&SCOPE_SPANS), 3 "schema_url" Plain, 1000 "instrumentation_library_spans" Messages(&SCOPE_SPANS) });
message!(SCOPE_SPANS { 1 "scope" Message(&SCOPE), 2 "spans" Messages(&SPAN), 3 "schema_url" Plain });
message!(SPAN {
    1 "trace_id" Plain, 2 "span_id" Plain, 3 "trace_state" Plain, 4 "parent_span_id" Plain, 5 "name" Plain,
    9 "attributes" Messages(&KEY_VALUE), 11 "events" Messages(&EVENT), 13 "links" Messages(&LINK), 15 "status" Message(&STATUS)
});
message!(EVENT { 2 "name" Plain, 3 "attributes" Messages(&KEY_VALUE) });
message!(LINK { 1 "trace_id" Plain, 2 "span_id" Plain, 3 "trace_state" Plain, 4 "attributes" Messages(&KEY_VALUE) });
message!(STATUS { 2 "message" Plain });

message!(METRICS_REQUEST { 1 "resource_metrics" Messages(&RESOURCE_METRICS) });
message!(RESOURCE_METRICS { 1 "resource" Message(&RESOURCE), 2 "scope_metrics" Messages(&SCOPE_METRICS), 3 "schema_url" Plain, 1000 "instrumentation_library_metrics" Messages(&SCOPE_METRICS) });
message!(SCOPE_METRICS { 1 "scope" Message(&SCOPE), 2 "metrics" Messages(&METRIC), 3 "schema_url" Plain });
message!(METRIC {
    1 "name" Plain, 2 "description" Plain, 3 "unit" Plain, 12 "metadata" Messages(&KEY_VALUE),
    5 "gauge" Message(&GAUGE), 7 "sum" Message(&SUM), 9 "histogram" Message(&HISTOGRAM),
    10 "exponential_histogram" Message(&EXPONENTIAL_HISTOGRAM), 11 "summary" Message(&SUMMARY)
});
message!(GAUGE { 1 "data_points" Messages(&NUMBER_DATA_POINT) });
message!(SUM { 1 "data_points" Messages(&NUMBER_DATA_POINT) });
message!(HISTOGRAM { 1 "data_points" Messages(&HISTOGRAM_DATA_POINT) });
message!(EXPONENTIAL_HISTOGRAM { 1 "data_points" Messages(&EXPONENTIAL_HISTOGRAM_DATA_POINT) });
message!(SUMMARY { 1 "data_points" Messages(&SUMMARY_DATA_POINT) });
message!(NUMBER_DATA_POINT { 5 "exemplars" Messages(&EXEMPLAR), 7 "attributes" Messages(&KEY_VALUE) });
message!(HISTOGRAM_DATA_POINT {
    6 "bucket_counts" Fixed64s, 7 "explicit_bounds" Fixed64s,
    8 "exemplars" Messages(&EXEMPLAR), 9 "attributes" Messages(&KEY_VALUE)
});
message!(EXPONENTIAL_HISTOGRAM_DATA_POINT {
    1 "attributes" Messages(&KEY_VALUE), 8 "positive" Message(&BUCKETS), 9 "negative" Message(&BUCKETS),
    11 "exemplars" Messages(&EXEMPLAR)
});
message!(BUCKETS { 2 "bucket_counts" Varints });
message!(SUMMARY_DATA_POINT { 6 "quantile_values" Messages(&VALUE_AT_QUANTILE), 7 "attributes" Messages(&KEY_VALUE) });
message!(VALUE_AT_QUANTILE {});
message!(EXEMPLAR { 4 "span_id" Plain, 5 "trace_id" Plain, 7 "filtered_attributes" Messages(&KEY_VALUE) });

/// Malformed bytes and the path of the innermost message that holds them.
pub(crate) struct Broken {
    pub fault: Fault,
    pub path: String,
}

impl Broken {
    /// The same trouble, seen from the message around it.
    #[cold]
    fn within(mut self, name: &str, index: Option<usize>) -> Self {
        let step = match index {
            Some(index) => format!("{name}[{index}]"),
            None => name.to_owned(),
        };
        self.path = if self.path.is_empty() { step } else { format!("{step}.{}", self.path) };
        self
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self { fault, path: String::new() }
    }
}

/// Whether `bytes` are a well-formed message; values nested deeper than `depth` are not entered.
pub(crate) fn check(message: &Descriptor, bytes: &[u8], depth: usize) -> Result<(), Broken> {
    let mut cursor = Cursor::new(bytes);
    while let Some(tag) = cursor.next_tag()? {
        let Some((name, kind)) = message.field(tag >> 3).filter(|_| tag & 7 == LEN) else {
            cursor.skip(tag)?;
            continue;
        };
        let value = cursor.read_len()?;
        match kind {
            Message(inner) | Messages(inner) => {
                let Some(depth) = depth.checked_sub(usize::from(inner.nests)) else { continue };
                check(inner, value, depth).map_err(|broken| {
                    let index =
                        matches!(kind, Messages(_)).then(|| count_before(bytes, tag, value));
                    broken.within(name, index)
                })?;
            }
            Fixed64s if value.len() % 8 != 0 => {
                return Err(
                    Broken::from(Fault::wire(value, Malformed::PackedLength)).within(name, None)
                );
            }
            Varints => {
                let mut packed = Cursor::new(value);
                while !packed.is_empty() {
                    packed.read_varint().map_err(|e| Broken::from(e).within(name, None))?;
                }
            }
            Fixed64s | Plain => {}
        }
    }
    Ok(())
}

/// How many fields with this tag stand before `value` in the message.
#[cold]
fn count_before(message: &[u8], tag: u32, value: &[u8]) -> usize {
    let mut count = 0;
    let mut cursor = Cursor::new(message);
    while let Ok(Some(found)) = cursor.next_tag() {
        if found != tag {
            if cursor.skip(found).is_err() {
                break;
            }
            continue;
        }
        match cursor.read_len() {
            Ok(earlier) if !std::ptr::eq(earlier, value) => count += 1,
            _ => break,
        }
    }
    count
}

/// The dotted path of the innermost message whose bytes hold `address`.
pub(crate) fn locate(root: &Descriptor, payload: &[u8], address: usize) -> String {
    let mut path = String::new();
    let (mut message, mut bytes) = (root, payload);
    while let Some((step, inner, value)) = enclosing_message(message, bytes, address) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step);
        (message, bytes) = (inner, value);
    }
    path
}

fn enclosing_message<'a>(
    message: &Descriptor,
    bytes: &'a [u8],
    address: usize,
) -> Option<(String, &'static Descriptor, &'a [u8])> {
    let mut cursor = Cursor::new(bytes);
    while let Ok(Some(tag)) = cursor.next_tag() {
        let Some((name, kind)) = message.field(tag >> 3).filter(|_| tag & 7 == LEN) else {
            cursor.skip(tag).ok()?;
            continue;
        };
        let value = cursor.read_len().ok()?;
        let start = value.as_ptr() as usize;
        if (start..start + value.len()).contains(&address) {
            return match kind {
                Message(inner) => Some((name.to_owned(), inner, value)),
                Messages(inner) => {
                    let index = count_before(bytes, tag, value);
                    Some((format!("{name}[{index}]"), inner, value))
                }
                Plain | Fixed64s | Varints => None,
            };
        }
    }
    None
}
