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

use columns::{MetricColumns, PointBase};
use exponential_histogram::ExponentialHistogramPoint;
use histogram::HistogramPoint;
use number::NumberPoint;
use summary::SummaryPoint;

use crate::buffer::ByteBuffer;
use crate::common::{Entries, Layer, Origin, Request, RowTime};
use crate::descriptors::{
    self, Descriptor, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, METRIC, SUM, SUMMARY,
};
use crate::error::{Fault, Reject};
use crate::fields::{data, metric};
use crate::groups::{Groups, Rows};
use crate::repeated::{Constant, Repeated, or_null};
use crate::schema::Table;
use crate::target::Target;
use crate::wire::{Cursor, Message};

/// The groups of the five metric tables.
pub(crate) struct MetricGroups {
    pub gauge: Groups<NumberColumns>,
    pub sum: Groups<NumberColumns>,
    pub histogram: Groups<HistogramColumns>,
    pub exponential_histogram: Groups<ExponentialHistogramColumns>,
    pub summary: Groups<SummaryColumns>,
}

impl MetricGroups {
    pub fn new() -> Self {
        Self {
            gauge: Groups::new(Table::Gauge),
            sum: Groups::new(Table::Sum),
            histogram: Groups::new(Table::Histogram),
            exponential_histogram: Groups::new(Table::ExponentialHistogram),
            summary: Groups::new(Table::Summary),
        }
    }

    /// How many points a scope's bytes hold is not known beforehand; a usual one takes this much.
    fn expect_rows(&mut self, bytes: &[u8]) {
        let points = bytes.len() / 160;
        // They are of several kinds as a rule.
        let bytes = &bytes[..bytes.len() / 2];
        self.gauge.expect(points, bytes);
        self.sum.expect(points, bytes);
        self.histogram.expect(points, bytes);
        self.exponential_histogram.expect(points, bytes);
        self.summary.expect(points, bytes);
    }
}

/// One data point kind: how its fields are read and appended.
pub(crate) trait Point<'a>: Sized {
    /// The columns of the kind's table.
    type Columns: Rows + MetricColumns;
    /// The message that a point is.
    const DESCRIPTOR: &'static Descriptor;

    /// Reads the fields; attributes go to `request.attributes`, exemplars to `exemplars`.
    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault>;

    /// The fields that all kinds have.
    fn base(&self) -> &PointBase;

    /// Appends the kind's own columns; on a `Fault::Reject` the caller drops the half-written row.
    fn append(
        &self,
        columns: &mut Self::Columns,
        request: &mut Request<'a>,
        metric: &Metric<'a>,
        bytes: &'a [u8],
    ) -> Result<(), Fault>;
}

/// Reused buffers of a metrics request.
#[derive(Default)]
struct Buffers<'a> {
    metadata: Vec<&'a [u8]>,
    exemplars: Vec<&'a [u8]>,
    rendered: RenderedMetric,
}

/// The values that all points of a metric repeat.
#[derive(Default)]
struct RenderedMetric {
    name: ByteBuffer,
    description: ByteBuffer,
    unit: ByteBuffer,
    metadata: ByteBuffer,
}

/// One Metric's fields.
#[derive(Default)]
pub(crate) struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    data: Data<'a>,
    /// Sum and the histograms.
    pub aggregation_temporality: i32,
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
}

pub(crate) fn append<'a>(
    groups: &mut MetricGroups,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    let (mut resource, mut scope) = (Origin::default(), Origin::default());
    let mut buffers = Buffers::default();
    let mut resources = Entries::of_request(&mut request.renderer, payload)?;
    while let Some(bytes) = resources.next()? {
        let before = request.stored();
        let layer = Layer::read(&mut request.renderer, bytes)?;
        resource.read_resource(request, &layer)?;
        request.note_without_records(layer.entries);
        let mut scopes = Entries::of_layer(bytes);
        while let Some(bytes) = scopes.next()? {
            let before = request.stored();
            let layer = Layer::read(&mut request.renderer, bytes)?;
            scope.read_scope(request, &layer)?;
            request.note_without_records(layer.entries);
            groups.expect_rows(bytes);
            append_metrics(groups, request, &resource, &scope, bytes, &mut buffers)?;
            request.forget_unstored_text(before);
        }
        request.forget_unstored_text(before);
    }
    Ok(())
}

fn append_metrics<'a>(
    groups: &mut MetricGroups,
    request: &mut Request<'a>,
    resource: &Origin,
    scope: &Origin,
    bytes: &'a [u8],
    buffers: &mut Buffers<'a>,
) -> Result<(), Fault> {
    // Every table has groups of its own, so each remembers the last one of its own.
    let [mut gauge, mut sum, mut histogram, mut exponential_histogram, mut summary] =
        std::array::from_fn(|_| Target::new(request, resource, scope));
    let mut metrics = Entries::of_layer(bytes);
    while let Some(bytes) = metrics.next()? {
        let before = request.stored();
        let metric = Metric::read(request, bytes, &mut buffers.metadata)?;
        let reject = buffers.rendered.render(request, &metric, &buffers.metadata, bytes)?;
        request.stamp += 1;
        let mut points = Points { request, metric: &metric, reject, buffers };
        match &metric.data {
            Data::Absent => points.request.note_without_records(0),
            Data::Gauge(data) => {
                points.append::<NumberPoint<'a>>(&mut groups.gauge, &mut gauge, data)?
            }
            Data::Sum(data) => points.append::<NumberPoint<'a>>(&mut groups.sum, &mut sum, data)?,
            Data::Histogram(data) => {
                points.append::<HistogramPoint<'a>>(&mut groups.histogram, &mut histogram, data)?;
            }
            Data::ExponentialHistogram(data) => {
                let (groups, target) =
                    (&mut groups.exponential_histogram, &mut exponential_histogram);
                points.append::<ExponentialHistogramPoint<'a>>(groups, target, data)?;
            }
            Data::Summary(data) => {
                points.append::<SummaryPoint<'a>>(&mut groups.summary, &mut summary, data)?
            }
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
        groups: &mut Groups<P::Columns>,
        target: &mut Target<'_>,
        data: &Message<'a>,
    ) -> Result<(), Fault> {
        let reject = target.reject.or(self.reject);
        let mut points = 0;
        for part in data.parts() {
            let mut entries = Entries::new(part, data::POINTS);
            while let Some(bytes) = entries.next()? {
                points += 1;
                self.request.count_record()?;
                let reject = match reject {
                    Some(reject) => reject,
                    None => match self.append_point::<P>(groups, target, bytes) {
                        Ok(()) => continue,
                        Err(fault) => fault.into_reject()?,
                    },
                };
                self.request.reject(reject, bytes, P::DESCRIPTOR)?;
            }
        }
        self.request.note_without_records(points);
        Ok(())
    }

    fn append_point<P: Point<'a>>(
        &mut self,
        groups: &mut Groups<P::Columns>,
        target: &mut Target<'_>,
        bytes: &'a [u8],
    ) -> Result<(), Fault> {
        let Self { request, metric, buffers, .. } = self;
        let point = P::read(request, bytes, &mut buffers.exemplars)?;
        let time = RowTime::new(point.base().time, request.received_at);
        let at = target.find(groups, request, time.hour(), MetricColumns::shared)?;
        let group = groups.get(at);
        if group.metric_stamp != request.stamp {
            buffers.rendered.set(group.columns.metric());
            group.metric_stamp = request.stamp;
        }
        let notes = request.renderer.notes;
        let appended = group
            .columns
            .append_rendered(request, bytes, &buffers.exemplars)
            .and_then(|()| point.append(&mut group.columns, request, metric, bytes));
        if let Err(fault) = appended {
            request.renderer.notes = notes;
            groups.drop_row(at, &mut request.groups_left);
            target.forget();
            return Err(fault);
        }
        let repeated_bytes = group.columns.append_base(time, point.base());
        group.rows += 1;
        request.undated += usize::from(point.base().time == 0);
        Ok(request.count_row(repeated_bytes)?)
    }
}

impl RenderedMetric {
    /// Renders the values; what does not fit is the reason to reject the points.
    fn render<'a>(
        &mut self,
        request: &mut Request<'a>,
        metric: &Metric<'a>,
        metadata: &[&'a [u8]],
        bytes: &'a [u8],
    ) -> Result<Option<Reject>, Fault> {
        let renderer = &mut request.renderer;
        for (out, bytes) in [
            (&mut self.name, metric.name),
            (&mut self.description, metric.description),
            (&mut self.unit, metric.unit),
        ] {
            out.clear();
            renderer.push_text(out, bytes);
        }
        self.metadata.clear();
        match renderer.push_attributes(&mut self.metadata, bytes, metadata) {
            Ok(()) => Ok(None),
            Err(fault) => {
                let reject = fault.into_reject()?;
                // Not rendered to the end, so not read to the end: it must be well-formed anyway.
                descriptors::check(&METRIC, bytes, renderer.limits.depth)
                    .map_err(|broken| broken.fault)?;
                Ok(Some(reject))
            }
        }
    }

    fn set(&self, columns: &mut Repeated) {
        columns.set(&[
            Constant::Text(Some(self.name.as_slice())),
            or_null(self.description.as_slice()),
            or_null(self.unit.as_slice()),
            Constant::Text(Some(self.metadata.as_slice())),
        ]);
    }
}

impl<'a> Metric<'a> {
    /// Reads the fields, and those of its data that stand beside the points.
    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        metadata: &mut Vec<&'a [u8]>,
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
                    metadata.push(cursor.read_len()?);
                    continue;
                }
                _ => {
                    request.renderer.skip_unknown(&mut cursor, tag)?;
                    continue;
                }
            };
            let next = kind(Message::one(cursor.read_len()?));
            this.data.set(next, depth)?;
        }
        this.read_beside_points(request)?;
        Ok(this)
    }

    fn read_beside_points(&mut self, request: &mut Request<'a>) -> Result<(), Fault> {
        let Some((_, message)) = self.data.message() else { return Ok(()) };
        let has_temporality = !matches!(self.data, Data::Gauge(_) | Data::Summary(_));
        let has_monotonic = matches!(self.data, Data::Sum(_));
        for part in message.parts() {
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    data::POINTS => drop(cursor.read_len()?),
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
            Self::Absent => None,
            Self::Gauge(message) => Some((&GAUGE, message)),
            Self::Sum(message) => Some((&SUM, message)),
            Self::Histogram(message) => Some((&HISTOGRAM, message)),
            Self::ExponentialHistogram(message) => Some((&EXPONENTIAL_HISTOGRAM, message)),
            Self::Summary(message) => Some((&SUMMARY, message)),
        }
    }

    /// The next member on the wire: merged with the same one, or in place of another.
    fn set(&mut self, next: Self, depth: usize) -> Result<(), Fault> {
        match (&mut *self, &next) {
            (Self::Gauge(message), Self::Gauge(more))
            | (Self::Sum(message), Self::Sum(more))
            | (Self::Histogram(message), Self::Histogram(more))
            | (Self::ExponentialHistogram(message), Self::ExponentialHistogram(more))
            | (Self::Summary(message), Self::Summary(more)) => {
                more.parts().for_each(|part| message.add(part));
            }
            _ => {
                // The member that loses is not stored, but the request is well-formed or not.
                if let Some((descriptor, message)) = self.message() {
                    for part in message.parts() {
                        descriptors::check(descriptor, part, depth)
                            .map_err(|broken| broken.fault)?;
                    }
                }
                *self = next;
            }
        }
        Ok(())
    }
}
