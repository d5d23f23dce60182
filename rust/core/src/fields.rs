//! The messages of OTLP 1.11 as data: one table of their fields, from which all else follows.
//!
//! A line says a field's number, its name in JSON and in protobuf, and how its value is written.
//! From it follow the tag that the readers of protobuf match (`number << 3 | wire type`, in a module
//! by the message's name), the walk that judges what is not stored and names places
//! (`well_formed.rs`, `explain.rs`), and the way from JSON to protobuf (`otlp_json`). The names of enums stand
//! here too. All as in opentelemetry-proto v1.11.0.
//!
//! Readers match on whole tags, so "a known field with another wire type is an unknown field"
//! needs no code of its own. JSON keys are "lowerCamelCase; snake_case accepted on input, never
//! written". Fields stand in the order in which senders write them as JSON: the next key is looked
//! for behind the last one.

pub(crate) use crate::descriptors::{Descriptor, Field, KEY_WORDS, Kind};
use crate::descriptors::{field, index_of, message, tag, wire};
use crate::wire::{FIXED32, FIXED64, LEN, VARINT};

// Tags of ids take one byte (the transcoder counts on it).

// Keys and values stay in the shortest form, for which the protobuf readers have a short cut.
message!(ANY_VALUE in any_value, 1, oneof 0b1111_1111, {
    STRING_VALUE = 1 "stringValue" "string_value" Text,
    INT_VALUE = 3 "intValue" "int_value" Int64,
    DOUBLE_VALUE = 4 "doubleValue" "double_value" Double,
    BOOL_VALUE = 2 "boolValue" "bool_value" Bool,
    ARRAY_VALUE = 5 "arrayValue" "array_value" Message(&ARRAY_VALUE),
    KVLIST_VALUE = 6 "kvlistValue" "kvlist_value" Message(&KEY_VALUE_LIST),
    BYTES_VALUE = 7 "bytesValue" "bytes_value" Bytes,
    STRING_VALUE_STRINDEX = 8 "stringValueStrindex" "string_value_strindex" Int32,
});
message!(ARRAY_VALUE in array_value, 1, nests true, {
    VALUES = 1 "values" "values" Messages(&ANY_VALUE),
});
message!(KEY_VALUE_LIST in key_value_list, 1, nests true, {
    VALUES = 1 "values" "values" Messages(&KEY_VALUE),
});
message!(KEY_VALUE in key_value, 1, {
    KEY = 1 "key" "key" Text,
    VALUE = 2 "value" "value" Message(&ANY_VALUE),
    KEY_STRINDEX = 3 "keyStrindex" "key_strindex" Int32,
});
message!(ENTITY_REF in entity_ref, 1, {
    SCHEMA_URL = 1 "schemaUrl" "schema_url" Text,
    TYPE = 2 "type" "type" Text,
    ID_KEYS = 3 "idKeys" "id_keys" Texts,
    DESCRIPTION_KEYS = 4 "descriptionKeys" "description_keys" Texts,
});
message!(RESOURCE in resource, 2, {
    ATTRIBUTES = 1 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 2 "droppedAttributesCount" "dropped_attributes_count" Uint32,
    ENTITY_REFS = 3 "entityRefs" "entity_refs" Messages(&ENTITY_REF),
});
message!(SCOPE in scope, 2, {
    NAME = 1 "name" "name" Text,
    VERSION = 2 "version" "version" Text,
    ATTRIBUTES = 3 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 4 "droppedAttributesCount" "dropped_attributes_count" Uint32,
});

message!(LOGS_REQUEST in request, 5, {
    RESOURCES = 1 "resourceLogs" "resource_logs" Groups(&RESOURCE_LOGS),
});
message!(RESOURCE_LOGS in resource_records, 5, {
    RESOURCE = 1 "resource" "resource" Message(&RESOURCE),
    SCOPES = 2 "scopeLogs" "scope_logs" Groups(&SCOPE_LOGS),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
    LIBRARIES = 1000 "instrumentationLibraryLogs" "instrumentation_library_logs" Groups(&SCOPE_LOGS),
});
message!(SCOPE_LOGS in scope_records, 5, {
    SCOPE = 1 "scope" "scope" Message(&SCOPE),
    RECORDS = 2 "logRecords" "log_records" Records(&LOG_RECORD),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
});
message!(LOG_RECORD in log_record, 2, {
    TIME_UNIX_NANO = 1 "timeUnixNano" "time_unix_nano" Fixed64,
    OBSERVED_TIME_UNIX_NANO = 11 "observedTimeUnixNano" "observed_time_unix_nano" Fixed64,
    SEVERITY_NUMBER = 2 "severityNumber" "severity_number" Enum(&SEVERITY_NUMBERS),
    SEVERITY_TEXT = 3 "severityText" "severity_text" Text,
    BODY = 5 "body" "body" Message(&ANY_VALUE),
    ATTRIBUTES = 6 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 7 "droppedAttributesCount" "dropped_attributes_count" Uint32,
    FLAGS = 8 "flags" "flags" Fixed32,
    TRACE_ID = 9 "traceId" "trace_id" Id(16),
    SPAN_ID = 10 "spanId" "span_id" Id(8),
    EVENT_NAME = 12 "eventName" "event_name" Text,
});

message!(TRACES_REQUEST like request, 5, {
    RESOURCES = 1 "resourceSpans" "resource_spans" Groups(&RESOURCE_SPANS),
});
message!(RESOURCE_SPANS like resource_records, 5, {
    RESOURCE = 1 "resource" "resource" Message(&RESOURCE),
    SCOPES = 2 "scopeSpans" "scope_spans" Groups(&SCOPE_SPANS),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
    LIBRARIES = 1000 "instrumentationLibrarySpans" "instrumentation_library_spans" Groups(&SCOPE_SPANS),
});
message!(SCOPE_SPANS like scope_records, 5, {
    SCOPE = 1 "scope" "scope" Message(&SCOPE),
    RECORDS = 2 "spans" "spans" Records(&SPAN),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
});
message!(SPAN in span, 2, {
    TRACE_ID = 1 "traceId" "trace_id" Id(16),
    SPAN_ID = 2 "spanId" "span_id" Id(8),
    TRACE_STATE = 3 "traceState" "trace_state" Text,
    PARENT_SPAN_ID = 4 "parentSpanId" "parent_span_id" Id(8),
    FLAGS = 16 "flags" "flags" Fixed32,
    NAME = 5 "name" "name" Text,
    KIND = 6 "kind" "kind" Enum(&SPAN_KINDS),
    START_TIME_UNIX_NANO = 7 "startTimeUnixNano" "start_time_unix_nano" Fixed64,
    END_TIME_UNIX_NANO = 8 "endTimeUnixNano" "end_time_unix_nano" Fixed64,
    ATTRIBUTES = 9 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 10 "droppedAttributesCount" "dropped_attributes_count" Uint32,
    EVENTS = 11 "events" "events" Messages(&EVENT),
    DROPPED_EVENTS_COUNT = 12 "droppedEventsCount" "dropped_events_count" Uint32,
    LINKS = 13 "links" "links" Messages(&LINK),
    DROPPED_LINKS_COUNT = 14 "droppedLinksCount" "dropped_links_count" Uint32,
    STATUS = 15 "status" "status" Message(&STATUS),
});
message!(EVENT in event, 1, {
    TIME_UNIX_NANO = 1 "timeUnixNano" "time_unix_nano" Fixed64,
    NAME = 2 "name" "name" Text,
    ATTRIBUTES = 3 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 4 "droppedAttributesCount" "dropped_attributes_count" Uint32,
});
message!(LINK in link, 1, {
    TRACE_ID = 1 "traceId" "trace_id" Id(16),
    SPAN_ID = 2 "spanId" "span_id" Id(8),
    TRACE_STATE = 3 "traceState" "trace_state" Text,
    ATTRIBUTES = 4 "attributes" "attributes" Messages(&KEY_VALUE),
    DROPPED_ATTRIBUTES_COUNT = 5 "droppedAttributesCount" "dropped_attributes_count" Uint32,
    FLAGS = 6 "flags" "flags" Fixed32,
});
message!(STATUS in status, 1, {
    MESSAGE = 2 "message" "message" Text,
    CODE = 3 "code" "code" Enum(&STATUS_CODES),
});

message!(METRICS_REQUEST like request, 5, {
    RESOURCES = 1 "resourceMetrics" "resource_metrics" Groups(&RESOURCE_METRICS),
});
message!(RESOURCE_METRICS like resource_records, 5, {
    RESOURCE = 1 "resource" "resource" Message(&RESOURCE),
    SCOPES = 2 "scopeMetrics" "scope_metrics" Groups(&SCOPE_METRICS),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
    LIBRARIES = 1000 "instrumentationLibraryMetrics" "instrumentation_library_metrics" Groups(&SCOPE_METRICS),
});
message!(SCOPE_METRICS like scope_records, 5, {
    SCOPE = 1 "scope" "scope" Message(&SCOPE),
    RECORDS = 2 "metrics" "metrics" Groups(&METRIC),
    SCHEMA_URL = 3 "schemaUrl" "schema_url" Text,
});
message!(METRIC in metric, 5, oneof 0b1111_1110_1111_1000, {
    NAME = 1 "name" "name" Text,
    DESCRIPTION = 2 "description" "description" Text,
    UNIT = 3 "unit" "unit" Text,
    GAUGE = 5 "gauge" "gauge" Message(&GAUGE),
    SUM = 7 "sum" "sum" Message(&SUM),
    HISTOGRAM = 9 "histogram" "histogram" Message(&HISTOGRAM),
    EXPONENTIAL_HISTOGRAM = 10 "exponentialHistogram" "exponential_histogram" Message(&EXPONENTIAL_HISTOGRAM),
    SUMMARY = 11 "summary" "summary" Message(&SUMMARY),
    METADATA = 12 "metadata" "metadata" Messages(&KEY_VALUE),
    // Kinds of OTLP 0.8: all alike to the tables, which reject their points.
    INT_GAUGE = 4 "intGauge" "int_gauge" Old(&OLD_DATA),
    INT_SUM = 6 "intSum" "int_sum" Old(&OLD_DATA),
    INT_HISTOGRAM = 8 "intHistogram" "int_histogram" Old(&OLD_DATA),
    DOUBLE_GAUGE = 4 "doubleGauge" "double_gauge" Old(&OLD_DATA),
    DOUBLE_SUM = 6 "doubleSum" "double_sum" Old(&OLD_DATA),
    DOUBLE_HISTOGRAM = 8 "doubleHistogram" "double_histogram" Old(&OLD_DATA),
    DOUBLE_SUMMARY = 4 "doubleSummary" "double_summary" Old(&OLD_DATA),
});
message!(OLD_DATA like data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&OLD_POINT),
});
static OLD_POINT: Descriptor = Descriptor { fields: &[], nests: false, length_bytes: 2 };
message!(GAUGE like data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&NUMBER_DATA_POINT),
});
message!(SUM in data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&NUMBER_DATA_POINT),
    AGGREGATION_TEMPORALITY = 2 "aggregationTemporality" "aggregation_temporality" Enum(&TEMPORALITIES),
    IS_MONOTONIC = 3 "isMonotonic" "is_monotonic" Bool,
});
message!(HISTOGRAM like data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&HISTOGRAM_DATA_POINT),
    AGGREGATION_TEMPORALITY = 2 "aggregationTemporality" "aggregation_temporality" Enum(&TEMPORALITIES),
});
message!(EXPONENTIAL_HISTOGRAM like data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&EXPONENTIAL_HISTOGRAM_DATA_POINT),
    AGGREGATION_TEMPORALITY = 2 "aggregationTemporality" "aggregation_temporality" Enum(&TEMPORALITIES),
});
message!(SUMMARY like data, 5, {
    POINTS = 1 "dataPoints" "data_points" Records(&SUMMARY_DATA_POINT),
});
message!(NUMBER_DATA_POINT in number_data_point, 2, oneof 0b1_1000, {
    ATTRIBUTES = 7 "attributes" "attributes" Messages(&KEY_VALUE),
    START_TIME_UNIX_NANO = 2 "startTimeUnixNano" "start_time_unix_nano" Fixed64,
    TIME_UNIX_NANO = 3 "timeUnixNano" "time_unix_nano" Fixed64,
    AS_DOUBLE = 4 "asDouble" "as_double" Double,
    AS_INT = 6 "asInt" "as_int" Sfixed64,
    EXEMPLARS = 5 "exemplars" "exemplars" Messages(&EXEMPLAR),
    FLAGS = 8 "flags" "flags" Uint32,
    LABELS = 1 "labels" "labels" Labels,
});
message!(HISTOGRAM_DATA_POINT in histogram_data_point, 2, {
    ATTRIBUTES = 9 "attributes" "attributes" Messages(&KEY_VALUE),
    START_TIME_UNIX_NANO = 2 "startTimeUnixNano" "start_time_unix_nano" Fixed64,
    TIME_UNIX_NANO = 3 "timeUnixNano" "time_unix_nano" Fixed64,
    COUNT = 4 "count" "count" Fixed64,
    SUM = 5 "sum" "sum" Double,
    BUCKET_COUNTS_PACKED = 6 "bucketCounts" "bucket_counts" Fixed64s,
    EXPLICIT_BOUNDS_PACKED = 7 "explicitBounds" "explicit_bounds" Doubles,
    EXEMPLARS = 8 "exemplars" "exemplars" Messages(&EXEMPLAR),
    FLAGS = 10 "flags" "flags" Uint32,
    MIN = 11 "min" "min" Double,
    MAX = 12 "max" "max" Double,
    LABELS = 1 "labels" "labels" Labels,
}, unpacked { BUCKET_COUNTS = 6 FIXED64, EXPLICIT_BOUNDS = 7 FIXED64 });
message!(EXPONENTIAL_HISTOGRAM_DATA_POINT in exponential_histogram_data_point, 2, {
    ATTRIBUTES = 1 "attributes" "attributes" Messages(&KEY_VALUE),
    START_TIME_UNIX_NANO = 2 "startTimeUnixNano" "start_time_unix_nano" Fixed64,
    TIME_UNIX_NANO = 3 "timeUnixNano" "time_unix_nano" Fixed64,
    COUNT = 4 "count" "count" Fixed64,
    SUM = 5 "sum" "sum" Double,
    SCALE = 6 "scale" "scale" Sint32,
    ZERO_COUNT = 7 "zeroCount" "zero_count" Fixed64,
    POSITIVE = 8 "positive" "positive" Message(&BUCKETS),
    NEGATIVE = 9 "negative" "negative" Message(&BUCKETS),
    FLAGS = 10 "flags" "flags" Uint32,
    EXEMPLARS = 11 "exemplars" "exemplars" Messages(&EXEMPLAR),
    MIN = 12 "min" "min" Double,
    MAX = 13 "max" "max" Double,
    ZERO_THRESHOLD = 14 "zeroThreshold" "zero_threshold" Double,
});
message!(BUCKETS in buckets, 1, {
    OFFSET = 1 "offset" "offset" Sint32,
    BUCKET_COUNTS_PACKED = 2 "bucketCounts" "bucket_counts" Uint64s,
}, unpacked { BUCKET_COUNTS = 2 VARINT });
message!(SUMMARY_DATA_POINT in summary_data_point, 2, {
    ATTRIBUTES = 7 "attributes" "attributes" Messages(&KEY_VALUE),
    START_TIME_UNIX_NANO = 2 "startTimeUnixNano" "start_time_unix_nano" Fixed64,
    TIME_UNIX_NANO = 3 "timeUnixNano" "time_unix_nano" Fixed64,
    COUNT = 4 "count" "count" Fixed64,
    SUM = 5 "sum" "sum" Double,
    QUANTILE_VALUES = 6 "quantileValues" "quantile_values" Messages(&VALUE_AT_QUANTILE),
    FLAGS = 8 "flags" "flags" Uint32,
    LABELS = 1 "labels" "labels" Labels,
});
message!(VALUE_AT_QUANTILE in value_at_quantile, 1, {
    QUANTILE = 1 "quantile" "quantile" Double,
    VALUE = 2 "value" "value" Double,
});
message!(EXEMPLAR in exemplar, 1, oneof 0b110, {
    TIME_UNIX_NANO = 2 "timeUnixNano" "time_unix_nano" Fixed64,
    AS_DOUBLE = 3 "asDouble" "as_double" Double,
    AS_INT = 6 "asInt" "as_int" Sfixed64,
    SPAN_ID = 4 "spanId" "span_id" Id(8),
    TRACE_ID = 5 "traceId" "trace_id" Id(16),
    FILTERED_ATTRIBUTES = 7 "filteredAttributes" "filtered_attributes" Messages(&KEY_VALUE),
});

pub(crate) const SEVERITY_NUMBERS: [&str; 25] = [
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
pub(crate) const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
pub(crate) const STATUS_CODES: [&str; 3] =
    ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
pub(crate) const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
