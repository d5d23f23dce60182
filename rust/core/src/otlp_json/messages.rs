//! The messages of OTLP 1.11 as JSON spells them: keys, field tags, and how values are written.
//!
//! Data alone. "lowerCamelCase; snake_case accepted on input, never written." Fields stand in
//! the order in which senders write them: the next key is looked for behind the last one.

use crate::fields::{
    any_value, array_value, buckets, data, event, exemplar, exponential_histogram_data_point,
    histogram_data_point, key_value, key_value_list, link, log_record, metric, number_data_point,
    request, resource, resource_records, scope, scope_records, span, status, summary_data_point,
    value_at_quantile,
};

/// How the value of a key is read and written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Texts,
    /// A list of which only the length counts: what OTLP had before attributes.
    Labels,
    /// Base64.
    Bytes,
    /// Hex; the number of bytes that such an id has, by which base64 is told from hex.
    Id(usize),
    Bool,
    Double,
    /// Packed.
    Doubles,
    /// A signed varint; 64 bits.
    Int64,
    /// A signed varint; 32 bits.
    Int32,
    /// A zigzag varint; 32 bits.
    Sint32,
    /// A varint; 32 bits.
    Uint32,
    /// Packed varints; 64 bits.
    Uint64s,
    Fixed32,
    Fixed64,
    /// Packed.
    Fixed64s,
    Sfixed64,
    /// The names of the numbers from 0 on.
    Enum(&'static [&'static str]),
    Message(&'static Message),
    Messages(&'static Message),
    /// Records: a bad one is left out alone.
    Records(&'static Message),
    /// Resources, scopes or metrics: with a bad one go the records below it.
    Groups(&'static Message),
}

pub(super) struct Message {
    pub fields: &'static [Field],
    /// An array or key-value list: one level of nesting.
    pub nests: bool,
    /// Bytes set aside for the length; a message that needs more is moved.
    pub length_bytes: usize,
}

pub(super) struct Field {
    /// The key, with its quotes.
    pub quoted: &'static [u8],
    pub snake: &'static [u8],
    pub tag: u32,
    pub kind: Kind,
    /// Names the field among those of its message.
    pub bit: u32,
    /// The bits that this one takes the place of: its own, or those of all members of its `oneof`.
    pub displaces: u32,
    /// The quoted key in words, and which bits of those it has.
    pub words: [u64; KEY_WORDS],
    pub masks: [u64; KEY_WORDS],
}

/// No quoted key of today takes more words of eight bytes.
pub(super) const KEY_WORDS: usize = 3;

impl Field {
    /// Whether the text that begins with these bytes begins with the quoted key.
    #[inline(always)]
    pub fn begins(&self, text: [u64; KEY_WORDS]) -> bool {
        let differs = |i: usize| text[i] & self.masks[i] ^ self.words[i];
        // Keys differ in their first word as a rule.
        differs(0) == 0 && differs(1) | differs(2) == 0
    }

    /// The key in lowerCamelCase.
    pub fn name(&self) -> &'static str {
        std::str::from_utf8(&self.quoted[1..self.quoted.len() - 1]).unwrap_or_default()
    }
}

impl Message {
    /// Whether it is an export request.
    pub fn is_request(&self) -> bool {
        [&LOGS_REQUEST, &TRACES_REQUEST, &METRICS_REQUEST]
            .iter()
            .any(|other| std::ptr::eq(self, *other))
    }

    /// The field of a key that was read out of its quotes.
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        // What a scope was called before 2022.
        let key = match key {
            b"instrumentationLibrary" | b"instrumentation_library" => b"scope",
            key => key,
        };
        self.fields.iter().position(|field| field.name().as_bytes() == key || field.snake == key)
    }
}

const fn field(
    index: usize,
    quoted: &'static str,
    snake: &'static str,
    tag: u32,
    kind: Kind,
    oneof: u32,
) -> Field {
    let bytes = quoted.as_bytes();
    let (mut words, mut masks, mut i) = ([0_u64; KEY_WORDS], [0_u64; KEY_WORDS], 0);
    if bytes.len() > 8 * KEY_WORDS {
        // Longer than what is looked at: found by its name, never at first sight.
        words[0] = 1;
        i = bytes.len();
    }
    while i < bytes.len() {
        words[i / 8] |= (bytes[i] as u64) << (8 * (i % 8));
        masks[i / 8] |= 0xff << (8 * (i % 8));
        i += 1;
    }
    let displaces = if oneof == 0 { 1 << index } else { oneof };
    Field {
        quoted: bytes,
        snake: snake.as_bytes(),
        tag,
        kind,
        bit: 1 << index,
        displaces,
        words,
        masks,
    }
}

/// A message: how many bytes its length takes, whether it nests, the members of its `oneof` as a
/// range of indices, and the fields.
macro_rules! message {
    ($name:ident, $length_bytes:literal, $module:ident, { $($rest:tt)* }) => {
        message!($name, $length_bytes, false, 0, $module, { $($rest)* });
    };
    ($name:ident, $length_bytes:literal, $nests:literal, $oneof:expr, $module:ident,
        { $($camel:literal $snake:literal $tag:ident $kind:expr),* $(,)? }) => {
        pub(super) static $name: Message = Message {
            fields: {
                const TAGS: &[&str] = &[$($camel),*];
                #[allow(dead_code)]
                const fn index_of(name: &str) -> usize {
                    let mut i = 0;
                    while i < TAGS.len() {
                        if same(TAGS[i], name) {
                            return i;
                        }
                        i += 1;
                    }
                    panic!("a field of this message")
                }
                &[$({
                    const INDEX: usize = index_of($camel);
                    const ONEOF: u32 = $oneof;
                    field(
                        INDEX,
                        concat!("\"", $camel, "\""),
                        $snake,
                        $module::$tag,
                        $kind,
                        if ONEOF >> INDEX & 1 == 1 { ONEOF } else { 0 },
                    )
                }),*]
            },
            nests: $nests,
            length_bytes: $length_bytes,
        };
    };
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

use Kind::{
    Bool, Bytes, Double, Doubles, Enum, Fixed32, Fixed64, Fixed64s, Groups, Id, Int32, Int64,
    Labels, Messages, Records, Sfixed64, Sint32, Text, Texts, Uint32, Uint64s,
};
/// Tags of ids take one byte (the transcoder counts on it).
const TRACE_ID: Kind = Id(16);
const SPAN_ID: Kind = Id(8);

const fn one(message: &'static Message) -> Kind {
    Kind::Message(message)
}

// Keys and values stay in the shortest form, for which the protobuf readers have a short cut.
message!(ANY_VALUE, 1, false, 0b1111_1111, any_value, {
    "stringValue" "string_value" STRING_VALUE Text,
    "intValue" "int_value" INT_VALUE Int64,
    "doubleValue" "double_value" DOUBLE_VALUE Double,
    "boolValue" "bool_value" BOOL_VALUE Bool,
    "arrayValue" "array_value" ARRAY_VALUE one(&ARRAY_VALUE),
    "kvlistValue" "kvlist_value" KVLIST_VALUE one(&KEY_VALUE_LIST),
    "bytesValue" "bytes_value" BYTES_VALUE Bytes,
    "stringValueStrindex" "string_value_strindex" STRING_VALUE_STRINDEX Int32,
});
message!(ARRAY_VALUE, 1, true, 0, array_value, {
    "values" "values" VALUES Messages(&ANY_VALUE),
});
message!(KEY_VALUE_LIST, 1, true, 0, key_value_list, {
    "values" "values" VALUES Messages(&KEY_VALUE),
});
message!(KEY_VALUE, 1, key_value, {
    "key" "key" KEY Text,
    "value" "value" VALUE one(&ANY_VALUE),
    "keyStrindex" "key_strindex" KEY_STRINDEX Int32,
});
message!(ENTITY_REF, 1, entity_ref, {
    "schemaUrl" "schema_url" SCHEMA_URL Text,
    "type" "type" TYPE Text,
    "idKeys" "id_keys" ID_KEYS Texts,
    "descriptionKeys" "description_keys" DESCRIPTION_KEYS Texts,
});
message!(RESOURCE, 2, resource, {
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
    "entityRefs" "entity_refs" ENTITY_REFS Messages(&ENTITY_REF),
});
message!(SCOPE, 2, scope, {
    "name" "name" NAME Text,
    "version" "version" VERSION Text,
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
});

/// What resource.proto says beside the fields that the tables have a use for.
mod entity_ref {
    use crate::wire::LEN;
    pub(super) const SCHEMA_URL: u32 = 1 << 3 | LEN;
    pub(super) const TYPE: u32 = 2 << 3 | LEN;
    pub(super) const ID_KEYS: u32 = 3 << 3 | LEN;
    pub(super) const DESCRIPTION_KEYS: u32 = 4 << 3 | LEN;
}

message!(LOGS_REQUEST, 5, request, {
    "resourceLogs" "resource_logs" RESOURCES Groups(&RESOURCE_LOGS),
});
message!(RESOURCE_LOGS, 5, resource_records, {
    "resource" "resource" RESOURCE one(&RESOURCE),
    "scopeLogs" "scope_logs" SCOPES Groups(&SCOPE_LOGS),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
    "instrumentationLibraryLogs" "instrumentation_library_logs" LIBRARIES Groups(&SCOPE_LOGS),
});
message!(SCOPE_LOGS, 5, scope_records, {
    "scope" "scope" SCOPE one(&SCOPE),
    "logRecords" "log_records" RECORDS Records(&LOG_RECORD),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
});
message!(LOG_RECORD, 2, log_record, {
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "observedTimeUnixNano" "observed_time_unix_nano" OBSERVED_TIME_UNIX_NANO Fixed64,
    "severityNumber" "severity_number" SEVERITY_NUMBER Enum(&SEVERITY_NUMBERS),
    "severityText" "severity_text" SEVERITY_TEXT Text,
    "body" "body" BODY one(&ANY_VALUE),
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
    "flags" "flags" FLAGS Fixed32,
    "traceId" "trace_id" TRACE_ID TRACE_ID,
    "spanId" "span_id" SPAN_ID SPAN_ID,
    "eventName" "event_name" EVENT_NAME Text,
});

message!(TRACES_REQUEST, 5, request, {
    "resourceSpans" "resource_spans" RESOURCES Groups(&RESOURCE_SPANS),
});
message!(RESOURCE_SPANS, 5, resource_records, {
    "resource" "resource" RESOURCE one(&RESOURCE),
    "scopeSpans" "scope_spans" SCOPES Groups(&SCOPE_SPANS),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
    "instrumentationLibrarySpans" "instrumentation_library_spans" LIBRARIES Groups(&SCOPE_SPANS),
});
message!(SCOPE_SPANS, 5, scope_records, {
    "scope" "scope" SCOPE one(&SCOPE),
    "spans" "spans" RECORDS Records(&SPAN),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
});
message!(SPAN, 2, span, {
    "traceId" "trace_id" TRACE_ID TRACE_ID,
    "spanId" "span_id" SPAN_ID SPAN_ID,
    "traceState" "trace_state" TRACE_STATE Text,
    "parentSpanId" "parent_span_id" PARENT_SPAN_ID SPAN_ID,
    "flags" "flags" FLAGS Fixed32,
    "name" "name" NAME Text,
    "kind" "kind" KIND Enum(&SPAN_KINDS),
    "startTimeUnixNano" "start_time_unix_nano" START_TIME_UNIX_NANO Fixed64,
    "endTimeUnixNano" "end_time_unix_nano" END_TIME_UNIX_NANO Fixed64,
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
    "events" "events" EVENTS Messages(&EVENT),
    "droppedEventsCount" "dropped_events_count" DROPPED_EVENTS_COUNT Uint32,
    "links" "links" LINKS Messages(&LINK),
    "droppedLinksCount" "dropped_links_count" DROPPED_LINKS_COUNT Uint32,
    "status" "status" STATUS one(&STATUS),
});
message!(EVENT, 1, event, {
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "name" "name" NAME Text,
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
});
message!(LINK, 1, link, {
    "traceId" "trace_id" TRACE_ID TRACE_ID,
    "spanId" "span_id" SPAN_ID SPAN_ID,
    "traceState" "trace_state" TRACE_STATE Text,
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "droppedAttributesCount" "dropped_attributes_count" DROPPED_ATTRIBUTES_COUNT Uint32,
    "flags" "flags" FLAGS Fixed32,
});
message!(STATUS, 1, status, {
    "message" "message" MESSAGE Text,
    "code" "code" CODE Enum(&STATUS_CODES),
});

message!(METRICS_REQUEST, 5, request, {
    "resourceMetrics" "resource_metrics" RESOURCES Groups(&RESOURCE_METRICS),
});
message!(RESOURCE_METRICS, 5, resource_records, {
    "resource" "resource" RESOURCE one(&RESOURCE),
    "scopeMetrics" "scope_metrics" SCOPES Groups(&SCOPE_METRICS),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
    "instrumentationLibraryMetrics" "instrumentation_library_metrics" LIBRARIES Groups(&SCOPE_METRICS),
});
message!(SCOPE_METRICS, 5, scope_records, {
    "scope" "scope" SCOPE one(&SCOPE),
    "metrics" "metrics" RECORDS Groups(&METRIC),
    "schemaUrl" "schema_url" SCHEMA_URL Text,
});
message!(METRIC, 5, false, 0b1111_1110_1111_1000, metric, {
    "name" "name" NAME Text,
    "description" "description" DESCRIPTION Text,
    "unit" "unit" UNIT Text,
    "gauge" "gauge" GAUGE one(&GAUGE),
    "sum" "sum" SUM one(&SUM),
    "histogram" "histogram" HISTOGRAM one(&HISTOGRAM),
    "exponentialHistogram" "exponential_histogram" EXPONENTIAL_HISTOGRAM one(&EXPONENTIAL_HISTOGRAM),
    "summary" "summary" SUMMARY one(&SUMMARY),
    "metadata" "metadata" METADATA Messages(&KEY_VALUE),
    // Kinds of OTLP 0.8: all alike to the tables, which reject their points.
    "intGauge" "int_gauge" INT_GAUGE one(&OLD_DATA),
    "intSum" "int_sum" INT_SUM one(&OLD_DATA),
    "intHistogram" "int_histogram" INT_HISTOGRAM one(&OLD_DATA),
    "doubleGauge" "double_gauge" INT_GAUGE one(&OLD_DATA),
    "doubleSum" "double_sum" INT_SUM one(&OLD_DATA),
    "doubleHistogram" "double_histogram" INT_HISTOGRAM one(&OLD_DATA),
    "doubleSummary" "double_summary" INT_GAUGE one(&OLD_DATA),
});
message!(OLD_DATA, 5, data, {
    "dataPoints" "data_points" POINTS Records(&OLD_POINT),
});
static OLD_POINT: Message = Message { fields: &[], nests: false, length_bytes: 2 };
message!(GAUGE, 5, data, {
    "dataPoints" "data_points" POINTS Records(&NUMBER_DATA_POINT),
});
message!(SUM, 5, data, {
    "dataPoints" "data_points" POINTS Records(&NUMBER_DATA_POINT),
    "aggregationTemporality" "aggregation_temporality" AGGREGATION_TEMPORALITY Enum(&TEMPORALITIES),
    "isMonotonic" "is_monotonic" IS_MONOTONIC Bool,
});
message!(HISTOGRAM, 5, data, {
    "dataPoints" "data_points" POINTS Records(&HISTOGRAM_DATA_POINT),
    "aggregationTemporality" "aggregation_temporality" AGGREGATION_TEMPORALITY Enum(&TEMPORALITIES),
});
message!(EXPONENTIAL_HISTOGRAM, 5, data, {
    "dataPoints" "data_points" POINTS Records(&EXPONENTIAL_HISTOGRAM_DATA_POINT),
    "aggregationTemporality" "aggregation_temporality" AGGREGATION_TEMPORALITY Enum(&TEMPORALITIES),
});
message!(SUMMARY, 5, data, {
    "dataPoints" "data_points" POINTS Records(&SUMMARY_DATA_POINT),
});
message!(NUMBER_DATA_POINT, 2, false, 0b1_1000, number_data_point, {
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "startTimeUnixNano" "start_time_unix_nano" START_TIME_UNIX_NANO Fixed64,
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "asDouble" "as_double" AS_DOUBLE Double,
    "asInt" "as_int" AS_INT Sfixed64,
    "exemplars" "exemplars" EXEMPLARS Messages(&EXEMPLAR),
    "flags" "flags" FLAGS Uint32,
    "labels" "labels" LABELS Labels,
});
message!(HISTOGRAM_DATA_POINT, 2, histogram_data_point, {
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "startTimeUnixNano" "start_time_unix_nano" START_TIME_UNIX_NANO Fixed64,
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "count" "count" COUNT Fixed64,
    "sum" "sum" SUM Double,
    "bucketCounts" "bucket_counts" BUCKET_COUNTS_PACKED Fixed64s,
    "explicitBounds" "explicit_bounds" EXPLICIT_BOUNDS_PACKED Doubles,
    "exemplars" "exemplars" EXEMPLARS Messages(&EXEMPLAR),
    "flags" "flags" FLAGS Uint32,
    "min" "min" MIN Double,
    "max" "max" MAX Double,
    "labels" "labels" LABELS Labels,
});
message!(EXPONENTIAL_HISTOGRAM_DATA_POINT, 2, exponential_histogram_data_point, {
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "startTimeUnixNano" "start_time_unix_nano" START_TIME_UNIX_NANO Fixed64,
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "count" "count" COUNT Fixed64,
    "sum" "sum" SUM Double,
    "scale" "scale" SCALE Sint32,
    "zeroCount" "zero_count" ZERO_COUNT Fixed64,
    "positive" "positive" POSITIVE one(&BUCKETS),
    "negative" "negative" NEGATIVE one(&BUCKETS),
    "flags" "flags" FLAGS Uint32,
    "exemplars" "exemplars" EXEMPLARS Messages(&EXEMPLAR),
    "min" "min" MIN Double,
    "max" "max" MAX Double,
    "zeroThreshold" "zero_threshold" ZERO_THRESHOLD Double,
});
message!(BUCKETS, 1, buckets, {
    "offset" "offset" OFFSET Sint32,
    "bucketCounts" "bucket_counts" BUCKET_COUNTS_PACKED Uint64s,
});
message!(SUMMARY_DATA_POINT, 2, summary_data_point, {
    "attributes" "attributes" ATTRIBUTES Messages(&KEY_VALUE),
    "startTimeUnixNano" "start_time_unix_nano" START_TIME_UNIX_NANO Fixed64,
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "count" "count" COUNT Fixed64,
    "sum" "sum" SUM Double,
    "quantileValues" "quantile_values" QUANTILE_VALUES Messages(&VALUE_AT_QUANTILE),
    "flags" "flags" FLAGS Uint32,
    "labels" "labels" LABELS Labels,
});
message!(VALUE_AT_QUANTILE, 1, value_at_quantile, {
    "quantile" "quantile" QUANTILE Double,
    "value" "value" VALUE Double,
});
message!(EXEMPLAR, 1, false, 0b110, exemplar, {
    "timeUnixNano" "time_unix_nano" TIME_UNIX_NANO Fixed64,
    "asDouble" "as_double" AS_DOUBLE Double,
    "asInt" "as_int" AS_INT Sfixed64,
    "spanId" "span_id" SPAN_ID SPAN_ID,
    "traceId" "trace_id" TRACE_ID TRACE_ID,
    "filteredAttributes" "filtered_attributes" FILTERED_ATTRIBUTES Messages(&KEY_VALUE),
});

const SEVERITY_NUMBERS: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
