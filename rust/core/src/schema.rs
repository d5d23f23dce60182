//! The seven tables as Arrow schemas, schema version 1.
//!
//! The column lists below are the contract that files, catalogs and readers rely on: order,
//! names, types, nullability, field ids. Changing one is a new schema version.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::columns::UTC;

/// The metadata key by which Arrow implementations carry Parquet field ids.
pub const FIELD_ID_KEY: &str = "PARQUET:field_id";

/// The tables, in the order in which results list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
    /// Number data points of gauges.
    Gauge,
    /// Number data points of sums.
    Sum,
    /// Histogram data points.
    Histogram,
    /// Exponential histogram data points.
    ExponentialHistogram,
    /// Summary data points.
    Summary,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Logs,
        Self::Traces,
        Self::Gauge,
        Self::Sum,
        Self::Histogram,
        Self::ExponentialHistogram,
        Self::Summary,
    ];

    /// The table's name in files and catalogs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "otel_logs",
            Self::Traces => "otel_traces",
            Self::Gauge => "otel_metrics_gauge",
            Self::Sum => "otel_metrics_sum",
            Self::Histogram => "otel_metrics_histogram",
            Self::ExponentialHistogram => "otel_metrics_exponential_histogram",
            Self::Summary => "otel_metrics_summary",
        }
    }

    /// The table's schema.
    #[must_use]
    pub fn schema(self, strings: Strings) -> SchemaRef {
        SCHEMAS[self as usize][strings as usize].clone()
    }

    fn columns(self) -> Vec<Spec> {
        let metrics = [SHARED, METRIC].concat();
        match self {
            Self::Logs => [SHARED, LOGS].concat(),
            Self::Traces => [SHARED, TRACES].concat(),
            Self::Gauge => [&metrics, EXEMPLARS, NUMBER].concat(),
            Self::Sum => {
                [&metrics, EXEMPLARS, NUMBER, TEMPORALITY, &[required("IsMonotonic", Kind::Bool)]]
                    .concat()
            }
            Self::Histogram => [&metrics, EXEMPLARS, STATISTICS, HISTOGRAM, TEMPORALITY].concat(),
            Self::ExponentialHistogram => {
                [&metrics, EXEMPLARS, STATISTICS, EXPONENTIAL_HISTOGRAM, TEMPORALITY].concat()
            }
            Self::Summary => [&metrics, SUMMARY].concat(),
        }
    }
}

/// How columns of few different texts travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strings {
    /// As plain strings: what the tables' contract says.
    Plain = 0,
    /// As dictionary arrays, for a Parquet writer in the same process.
    Dictionary = 1,
}

#[derive(Clone, Copy)]
enum Kind {
    Ts,
    Int32,
    Int64,
    Double,
    Bool,
    /// Text of many different values.
    Text,
    /// Text of few different values: a dictionary array where asked for.
    Label,
    List(Item),
}

#[derive(Clone, Copy)]
pub(crate) enum Item {
    Ts,
    Int32,
    Int64,
    Double,
    Text,
}

type Spec = (&'static str, Kind, bool);

const fn required(name: &'static str, kind: Kind) -> Spec {
    (name, kind, false)
}

const fn optional(name: &'static str, kind: Kind) -> Spec {
    (name, kind, true)
}

const SHARED: &[Spec] = &[
    required("Timestamp", Kind::Ts),
    optional("TimestampNanos", Kind::Int32),
    optional("ServiceName", Kind::Label),
    optional("ServiceNamespace", Kind::Label),
    optional("ServiceInstanceId", Kind::Label),
    required("ResourceAttributes", Kind::Label),
    required("ResourceDroppedAttributesCount", Kind::Int64),
    optional("ResourceSchemaUrl", Kind::Label),
    optional("ScopeName", Kind::Label),
    optional("ScopeVersion", Kind::Label),
    required("ScopeAttributes", Kind::Label),
    required("ScopeDroppedAttributesCount", Kind::Int64),
    optional("ScopeSchemaUrl", Kind::Label),
];

const LOGS: &[Spec] = &[
    optional("ObservedTimestamp", Kind::Ts),
    optional("ObservedTimestampNanos", Kind::Int32),
    optional("TraceId", Kind::Text),
    optional("SpanId", Kind::Text),
    required("TraceFlags", Kind::Int64),
    required("SeverityNumber", Kind::Int32),
    optional("SeverityText", Kind::Label),
    optional("EventName", Kind::Label),
    optional("Body", Kind::Text),
    optional("BodyType", Kind::Label),
    required("LogAttributes", Kind::Text),
    required("DroppedAttributesCount", Kind::Int64),
];

const TRACES: &[Spec] = &[
    required("Duration", Kind::Int64),
    optional("TraceId", Kind::Text),
    optional("SpanId", Kind::Text),
    optional("ParentSpanId", Kind::Text),
    optional("TraceState", Kind::Label),
    required("SpanName", Kind::Label),
    required("SpanKind", Kind::Label),
    required("SpanFlags", Kind::Int64),
    required("SpanAttributes", Kind::Text),
    required("DroppedAttributesCount", Kind::Int64),
    required("DroppedEventsCount", Kind::Int64),
    required("DroppedLinksCount", Kind::Int64),
    required("StatusCode", Kind::Label),
    optional("StatusMessage", Kind::Label),
    required("EventsTimestamp", Kind::List(Item::Ts)),
    required("EventsTimestampNanos", Kind::List(Item::Int32)),
    required("EventsName", Kind::List(Item::Text)),
    required("EventsAttributes", Kind::List(Item::Text)),
    required("EventsDroppedAttributesCount", Kind::List(Item::Int64)),
    required("LinksTraceId", Kind::List(Item::Text)),
    required("LinksSpanId", Kind::List(Item::Text)),
    required("LinksTraceState", Kind::List(Item::Text)),
    required("LinksFlags", Kind::List(Item::Int64)),
    required("LinksAttributes", Kind::List(Item::Text)),
    required("LinksDroppedAttributesCount", Kind::List(Item::Int64)),
];

const METRIC: &[Spec] = &[
    optional("StartTimestamp", Kind::Ts),
    optional("StartTimestampNanos", Kind::Int32),
    required("MetricName", Kind::Label),
    optional("MetricDescription", Kind::Label),
    optional("MetricUnit", Kind::Label),
    required("MetricMetadata", Kind::Label),
    required("Attributes", Kind::Text),
    required("Flags", Kind::Int64),
];

const EXEMPLARS: &[Spec] = &[required("Exemplars", Kind::Text)];

const NUMBER: &[Spec] = &[optional("Value", Kind::Double), optional("IntValue", Kind::Int64)];

const STATISTICS: &[Spec] = &[
    required("Count", Kind::Int64),
    optional("Sum", Kind::Double),
    optional("Min", Kind::Double),
    optional("Max", Kind::Double),
];

const HISTOGRAM: &[Spec] = &[
    required("BucketCounts", Kind::List(Item::Int64)),
    required("ExplicitBounds", Kind::List(Item::Double)),
];

const EXPONENTIAL_HISTOGRAM: &[Spec] = &[
    required("Scale", Kind::Int32),
    required("ZeroCount", Kind::Int64),
    required("ZeroThreshold", Kind::Double),
    optional("PositiveOffset", Kind::Int32),
    required("PositiveBucketCounts", Kind::List(Item::Int64)),
    optional("NegativeOffset", Kind::Int32),
    required("NegativeBucketCounts", Kind::List(Item::Int64)),
];

const TEMPORALITY: &[Spec] = &[required("AggregationTemporality", Kind::Label)];

const SUMMARY: &[Spec] = &[
    required("Count", Kind::Int64),
    required("Sum", Kind::Double),
    required("Quantiles", Kind::List(Item::Double)),
    required("QuantileValues", Kind::List(Item::Double)),
];

static SCHEMAS: LazyLock<[[SchemaRef; 2]; 7]> = LazyLock::new(|| {
    Table::ALL
        .map(|table| [Strings::Plain, Strings::Dictionary].map(|strings| build(table, strings)))
});

fn build(table: Table, strings: Strings) -> SchemaRef {
    let columns = table.columns();
    // "The top-level columns first, then the list elements in column order": as Iceberg assigns.
    let mut element_id = columns.len();
    let fields: Vec<Field> = columns
        .into_iter()
        .enumerate()
        .map(|(i, (name, kind, nullable))| {
            let data_type = match kind {
                Kind::Ts => Item::Ts.data_type(),
                Kind::Int32 => DataType::Int32,
                Kind::Int64 => DataType::Int64,
                Kind::Double => DataType::Float64,
                Kind::Bool => DataType::Boolean,
                Kind::Label if strings == Strings::Dictionary => {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                }
                Kind::Text | Kind::Label => DataType::Utf8,
                Kind::List(item) => {
                    element_id += 1;
                    DataType::List(Arc::new(with_field_id(
                        Field::new("element", item.data_type(), true),
                        element_id,
                    )))
                }
            };
            with_field_id(Field::new(name, data_type, nullable), i + 1)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The names and element fields of each table's list columns, kept because every group asks.
static LIST_ITEMS: LazyLock<[Vec<(String, FieldRef)>; 7]> = LazyLock::new(|| {
    Table::ALL.map(|table| {
        let schema = table.schema(Strings::Plain);
        let item = |field: &FieldRef| match field.data_type() {
            DataType::List(item) => Some((field.name().clone(), Arc::clone(item))),
            _ => None,
        };
        schema.fields().iter().filter_map(item).collect()
    })
});

/// The element fields, with their field ids, of the list columns of a table: from a named one on.
pub(crate) fn list_items(table: Table, first: &str) -> impl Iterator<Item = &'static FieldRef> {
    let lists = LIST_ITEMS[table as usize].iter();
    lists.skip_while(move |(name, _)| name != first).map(|(_, item)| item)
}

impl Item {
    fn data_type(self) -> DataType {
        match self {
            Self::Ts => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
        }
    }
}

fn with_field_id(field: Field, id: usize) -> Field {
    field.with_metadata(HashMap::from([(FIELD_ID_KEY.to_owned(), id.to_string())]))
}
