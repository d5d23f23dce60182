//! ExportMetricsServiceRequest -> the five otel_metrics tables.
//!
//! A metric's kind decides the table; its data points are the rows. This file walks down to
//! the points; a file per kind reads and appends them.

mod columns;
mod exemplars;
mod exponential_histogram;
mod histogram;
mod number;
mod summary;

pub(crate) use exponential_histogram::ExponentialHistogramColumns;
pub(crate) use histogram::HistogramColumns;
pub(crate) use number::NumberColumns;
pub(crate) use summary::SummaryColumns;

use columns::{Alike, MetricColumns, PointBase};
use exponential_histogram::ExponentialHistogramPoint;
use histogram::HistogramPoint;
use number::NumberPoint;
use summary::SummaryPoint;

use crate::columns::{ByteBuffer, Constant, Labels, Repeated, Rows, Used, or_null};
use crate::enums::push_enum;
use crate::error::{Excess, Fault, Misfit, Reject};
use crate::fields::{
    Descriptor, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, METRIC, SUM, SUMMARY, TEMPORALITIES, data,
    metric,
};
use crate::owner::Owner;
use crate::placing::Placing;
use crate::renderer::Renderer;
use crate::request::{Attributes, Request};
use crate::schema::Table;
use crate::times::RowTime;
use crate::walk::{Entries, walk};
use crate::well_formed;
use crate::wire::{Cursor, Message};

/// The rows of the five metric tables; of those that have had any.
#[derive(Default)]
pub(crate) struct MetricRows {
    pub gauge: Used<NumberColumns>,
    pub sum: Used<NumberColumns>,
    pub histogram: Used<HistogramColumns>,
    pub exponential_histogram: Used<ExponentialHistogramColumns>,
    pub summary: Used<SummaryColumns>,
}

/// One data point kind: how its fields are read and appended.
pub(crate) trait Point<'a>: Sized {
    /// The columns of the kind's table.
    type Columns: MetricColumns;
    /// The message that a point is.
    const DESCRIPTOR: &'static Descriptor;
    /// Bytes of a row beside its text and lists.
    const ROW_BYTES: usize;

    /// Reads the fields; attributes go to `attributes` and what of them has to wait to
    /// `request.attributes`, exemplars to `exemplars`.
    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault>;

    /// The fields that all kinds have.
    fn base(&self) -> &PointBase;

    /// Appends the kind's own columns; on a fault the caller drops the half-written row.
    fn append(
        &self,
        columns: &mut Self::Columns,
        request: &mut Request<'a>,
        bytes: &'a [u8],
    ) -> Result<(), Fault>;

    /// Appends the columns that all points of a metric have alike, for its `rows` (never none).
    fn end_metric(columns: &mut Self::Columns, metric: &Metric<'a>, rows: usize);
}

/// Reused buffers of a metrics request.
#[derive(Default)]
struct Buffers<'a> {
    metadata: Attributes<'a>,
    exemplars: Vec<&'a [u8]>,
    rendered: RenderedMetric<'a>,
}

/// The values that all points of a metric repeat. What the metric before has alike is not rendered
/// again.
#[derive(Default)]
struct RenderedMetric<'a> {
    /// Name, description and unit.
    texts: [RenderedText<'a>; 3],
    metadata: ByteBuffer,
    /// Whether the metric has none, which its text says.
    has_no_metadata: bool,
    /// Names the metadata among all that a builder has read.
    metadata_stamp: u64,
    /// Names all of these values.
    stamp: u64,
}

#[derive(Default)]
struct RenderedText<'a> {
    /// As it was given, unless it had to be mended.
    given: Option<&'a [u8]>,
    text: ByteBuffer,
    /// Names the text among all that a builder has read.
    stamp: u64,
}

impl<'a> RenderedText<'a> {
    fn render(
        &mut self,
        renderer: &mut Renderer<'_>,
        given: &'a [u8],
        stamp: u64,
    ) -> Result<(), Excess> {
        if self.given == Some(given) {
            return Ok(());
        }
        let replaced = renderer.notes.replaced_text;
        self.text.clear();
        renderer.push_text(&mut self.text, given)?;
        // What had to be mended is counted as often as it is met.
        self.given = (renderer.notes.replaced_text == replaced).then_some(given);
        self.stamp = stamp;
        Ok(())
    }
}

/// One Metric's fields.
#[derive(Default)]
pub(crate) struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    data: Data<'a>,
    /// Sum and the histograms.
    aggregation_temporality: i32,
    /// Sum.
    pub is_monotonic: bool,
}

/// The `oneof data`, decided.
#[derive(Default)]
enum Data<'a> {
    #[default]
    Absent,
    Gauge(Message<'a>),
    Sum(Message<'a>),
    Histogram(Message<'a>),
    ExponentialHistogram(Message<'a>),
    Summary(Message<'a>),
    /// A kind of OTLP 0.8.
    Old(&'a [u8]),
}

pub(crate) fn append<'a>(
    rows: &mut MetricRows,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    let mut buffers = Buffers::default();
    walk(request, payload, |request, resource, scope, bytes| {
        append_metrics(rows, request, resource, scope, bytes, &mut buffers)
    })
}

fn append_metrics<'a>(
    rows: &mut MetricRows,
    request: &mut Request<'a>,
    resource: &Owner,
    scope: &Owner,
    bytes: &'a [u8],
    buffers: &mut Buffers<'a>,
) -> Result<(), Fault> {
    // Every table has groups of its own, so each remembers the last one of its own.
    let [mut gauge, mut sum, mut histogram, mut exponential_histogram, mut summary] =
        std::array::from_fn(|_| Placing::new(resource, scope));
    let mut metrics = Entries::of_scope(bytes);
    while let Some(bytes) = metrics.next()? {
        let before = request.stored();
        let metric = Metric::read(request, bytes, &mut buffers.metadata)?;
        let reject = buffers.rendered.render(request, &metric, &buffers.metadata, bytes)?;
        let mut points = Points { request, metric: &metric, reject, buffers };
        match &metric.data {
            Data::Absent => points.request.note_without_records(0),
            Data::Old(data) => points.reject_old(data)?,
            Data::Gauge(data) => points.append::<NumberPoint<'a>>(
                rows.gauge.rows(Table::Gauge, NumberColumns::gauge),
                &mut gauge,
                data,
            )?,
            Data::Sum(data) => points.append::<NumberPoint<'a>>(
                rows.sum.rows(Table::Sum, NumberColumns::sum),
                &mut sum,
                data,
            )?,
            Data::Histogram(data) => {
                points.append::<HistogramPoint<'a>>(
                    rows.histogram.rows(Table::Histogram, HistogramColumns::default),
                    &mut histogram,
                    data,
                )?;
            }
            Data::ExponentialHistogram(data) => {
                let rows = rows
                    .exponential_histogram
                    .rows(Table::ExponentialHistogram, ExponentialHistogramColumns::default);
                let placing = &mut exponential_histogram;
                points.append::<ExponentialHistogramPoint<'a>>(rows, placing, data)?;
            }
            Data::Summary(data) => points.append::<SummaryPoint<'a>>(
                rows.summary.rows(Table::Summary, SummaryColumns::default),
                &mut summary,
                data,
            )?,
        }
        request.forget_unstored_text(before);
    }
    Ok(())
}

/// The points of one metric, on their way to the groups of its table.
struct Points<'p, 'a> {
    request: &'p mut Request<'a>,
    metric: &'p Metric<'a>,
    /// Why the metric's points are rejected, if they are.
    reject: Option<Reject>,
    buffers: &'p mut Buffers<'a>,
}

impl<'a> Points<'_, 'a> {
    fn append<P: Point<'a>>(
        &mut self,
        rows: &mut Rows<P::Columns>,
        placing: &mut Placing<'_>,
        data: &Message<'a>,
    ) -> Result<(), Fault> {
        let reject = placing.reject().or(self.reject);
        // As much as the attributes take where the points are of two kinds.
        rows.columns.base().attributes.expect(self.request.renderer.payload_len() / 8 * 3);
        let first = rows.len();
        let mut alike = Alike::default();
        let mut points = 0;
        for part in data.parts() {
            let mut entries = Entries::new(part, data::POINTS);
            while let Some(bytes) = entries.next()? {
                points += 1;
                self.request.count_record(P::ROW_BYTES)?;
                let reject = match reject {
                    Some(reject) => reject,
                    None => match self.append_point::<P>(rows, placing, &mut alike, bytes)? {
                        None => continue,
                        Some(reject) => reject,
                    },
                };
                self.request.reject(reject, bytes, P::DESCRIPTOR)?;
            }
        }
        let appended = rows.len() - first;
        if appended > 0 {
            rows.columns.append_alike(&mut alike, false);
            P::end_metric(&mut rows.columns, self.metric, appended);
        }
        self.request.note_without_records(points);
        Ok(())
    }

    /// Rejects the points of a kind that is none any more; one, if they cannot be counted.
    fn reject_old(&mut self, data: &'a [u8]) -> Result<(), Fault> {
        let reject = Reject { address: data.as_ptr() as usize, misfit: Misfit::OldKind };
        let mut entries = Entries::new(data, data::POINTS);
        let mut points = 0;
        let is_whole = loop {
            match entries.next() {
                Ok(Some(_)) => points += 1,
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let points = if is_whole { points } else { 1 };
        for _ in 0..points {
            self.request.count_record(0)?;
            self.request.count_reject(reject);
        }
        self.request.note_without_records(points);
        Ok(())
    }

    /// Appends a point, or gives the reason not to.
    fn append_point<P: Point<'a>>(
        &mut self,
        rows: &mut Rows<P::Columns>,
        placing: &mut Placing<'_>,
        alike: &mut Alike,
        bytes: &'a [u8],
    ) -> Result<Option<Reject>, Fault> {
        let Self { request, buffers, .. } = self;
        let attributes = &mut rows.columns.base().attributes.data;
        let point = P::read(request, bytes, attributes, &mut buffers.exemplars)?;
        if point.base().has_labels {
            rows.drop_row();
            let address = bytes.as_ptr() as usize;
            return Ok(Some(Reject { address, misfit: Misfit::OldLabels }));
        }
        let have_exemplars = !buffers.exemplars.is_empty();
        if alike.rows == 0 || have_exemplars || alike.base != *point.base() {
            rows.columns.append_alike(alike, false);
            let base = *point.base();
            *alike = Alike { base, time: RowTime::new(base.time, request.received_at), rows: 0 };
        }
        let notes = request.renderer.notes;
        // What may be refused comes first, so that a rejected point leaves no mark.
        let rendered = rows
            .columns
            .append_rendered(request, bytes, &buffers.exemplars)
            .and_then(|()| point.append(&mut rows.columns, request, bytes));
        if let Err(fault) = rendered {
            let reject = fault.into_reject()?;
            request.renderer.notes = notes;
            rows.drop_row();
            return Ok(Some(reject));
        }
        if rows.stamps.metric != buffers.rendered.stamp {
            buffers.rendered.set(&mut request.renderer, rows)?;
        }
        placing.place_row(rows, request, alike.time.hour())?;
        alike.rows += 1;
        if have_exemplars {
            rows.columns.append_alike(alike, true);
        }
        request.undated += usize::from(alike.base.time == 0);
        Ok(None)
    }
}

impl<'a> RenderedMetric<'a> {
    /// Renders the values; what does not fit is the reason to reject the points.
    fn render(
        &mut self,
        request: &mut Request<'a>,
        metric: &Metric<'a>,
        metadata: &Attributes<'a>,
        bytes: &'a [u8],
    ) -> Result<Option<Reject>, Fault> {
        request.stamp += 1;
        self.stamp = request.stamp;
        let renderer = &mut request.renderer;
        for (text, given) in
            self.texts.iter_mut().zip([metric.name, metric.description, metric.unit])
        {
            text.render(renderer, given, self.stamp)?;
        }
        let had_none = std::mem::replace(&mut self.has_no_metadata, metadata.count() == 0);
        if had_none && self.has_no_metadata {
            return Ok(None);
        }
        self.metadata_stamp = self.stamp;
        self.metadata.clear();
        match renderer.push_attributes(&mut self.metadata, bytes, metadata) {
            Ok(()) => Ok(None),
            Err(fault) => {
                let reject = fault.into_reject()?;
                // Not rendered to the end, so not read to the end: it must be well-formed anyway.
                well_formed::check(&METRIC, bytes, renderer.limits.depth)
                    .map_err(|broken| broken.fault)?;
                Ok(Some(reject))
            }
        }
    }

    /// Sets the metric's columns to these values, for the rows to come.
    #[inline(never)]
    fn set<C: MetricColumns>(
        &self,
        renderer: &mut Renderer<'_>,
        rows: &mut Rows<C>,
    ) -> Result<(), Excess> {
        let [name, description, unit] = &self.texts;
        let texts = [&name.text, &description.text, &unit.text, &self.metadata];
        let keys = texts.len() * size_of::<i64>() + size_of::<u64>();
        renderer.charge(keys + texts.map(ByteBuffer::len).iter().sum::<usize>())?;
        let mut constants = [
            Constant::Text(Some(name.text.as_slice())),
            or_null(description.text.as_slice()),
            or_null(unit.text.as_slice()),
            Constant::Text(Some(self.metadata.as_slice())),
        ];
        let stamps = [name.stamp, description.stamp, unit.stamp, self.metadata_stamp];
        let before = std::mem::replace(&mut rows.stamps.metric_texts, stamps);
        for (column, constant) in constants.iter_mut().enumerate() {
            if before[column] == stamps[column] {
                *constant = Constant::Unchanged(texts[column].len());
            }
        }
        let row = rows.len();
        let columns: &mut Repeated = rows.columns.metric();
        rows.stamps.metric_bytes = columns.set(row, &constants);
        rows.stamps.metric = self.stamp;
        Ok(())
    }
}

impl<'a> Metric<'a> {
    /// Reads the fields, and those of its data that stand beside the points.
    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        metadata: &mut Attributes<'a>,
    ) -> Result<Self, Fault> {
        let mut this = Self::default();
        metadata.clear();
        let depth = request.limits().depth;
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            let kind: fn(Message<'a>) -> Data<'a> = match tag {
                metric::GAUGE => Data::Gauge,
                metric::SUM => Data::Sum,
                metric::HISTOGRAM => Data::Histogram,
                metric::EXPONENTIAL_HISTOGRAM => Data::ExponentialHistogram,
                metric::SUMMARY => Data::Summary,
                metric::INT_GAUGE | metric::INT_SUM | metric::INT_HISTOGRAM => {
                    let old = Data::Old(cursor.read_len()?);
                    this.data.set(&mut request.renderer, old, depth)?;
                    continue;
                }
                metric::NAME => {
                    this.name = cursor.read_len()?;
                    continue;
                }
                metric::DESCRIPTION => {
                    this.description = cursor.read_len()?;
                    continue;
                }
                metric::UNIT => {
                    this.unit = cursor.read_len()?;
                    continue;
                }
                metric::METADATA => {
                    metadata.push(cursor.read_len()?, request.limits());
                    continue;
                }
                _ => {
                    request.renderer.skip_unknown(&mut cursor, tag)?;
                    continue;
                }
            };
            let next = kind(Message::one(cursor.read_len()?));
            this.data.set(&mut request.renderer, next, depth)?;
        }
        this.read_beside_points(request)?;
        Ok(this)
    }

    /// Appends the temporality of its points.
    fn push_temporality(&self, column: &mut Labels, rows: usize) {
        push_enum(column, &TEMPORALITIES, self.aggregation_temporality, rows);
    }

    fn read_beside_points(&mut self, request: &mut Request<'a>) -> Result<(), Fault> {
        let Some((_, message)) = self.data.message() else { return Ok(()) };
        let has_temporality = !matches!(self.data, Data::Gauge(_) | Data::Summary(_));
        let has_monotonic = matches!(self.data, Data::Sum(_));
        for part in message.parts() {
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    data::POINTS => {
                        cursor.read_len()?;
                        while cursor.take_tag(data::POINTS) {
                            cursor.read_len()?;
                        }
                    }
                    data::AGGREGATION_TEMPORALITY if has_temporality => {
                        self.aggregation_temporality = cursor.read_varint()? as i32;
                    }
                    data::IS_MONOTONIC if has_monotonic => {
                        self.is_monotonic = cursor.read_varint()? != 0
                    }
                    _ => request.renderer.skip_unknown(&mut cursor, tag)?,
                }
            }
        }
        Ok(())
    }
}

impl<'a> Data<'a> {
    fn message(&self) -> Option<(&'static Descriptor, &Message<'a>)> {
        match self {
            Self::Absent | Self::Old(_) => None,
            Self::Gauge(message) => Some((&GAUGE, message)),
            Self::Sum(message) => Some((&SUM, message)),
            Self::Histogram(message) => Some((&HISTOGRAM, message)),
            Self::ExponentialHistogram(message) => Some((&EXPONENTIAL_HISTOGRAM, message)),
            Self::Summary(message) => Some((&SUMMARY, message)),
        }
    }

    /// The next member on the wire: merged with the same one, or in place of another.
    fn set(&mut self, renderer: &mut Renderer<'_>, next: Self, depth: usize) -> Result<(), Fault> {
        match (&mut *self, &next) {
            (Self::Gauge(message), Self::Gauge(more))
            | (Self::Sum(message), Self::Sum(more))
            | (Self::Histogram(message), Self::Histogram(more))
            | (Self::ExponentialHistogram(message), Self::ExponentialHistogram(more))
            | (Self::Summary(message), Self::Summary(more)) => {
                for part in more.parts() {
                    renderer.merge(message, part)?;
                }
            }
            _ => {
                // The member that loses is not stored, but the request is well-formed or not.
                if let Some((descriptor, message)) = self.message() {
                    for part in message.parts() {
                        well_formed::check(descriptor, part, depth)
                            .map_err(|broken| broken.fault)?;
                    }
                }
                *self = next;
            }
        }
        Ok(())
    }
}
