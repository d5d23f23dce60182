//! ExponentialHistogramDataPoint -> otel_metrics_exponential_histogram.

use crate::columns::{ByteBuffer, Doubles, Int32s, Int64s, Labels, Lists, Texts, column_of};
use crate::error::Fault;
use crate::fields::{
    Descriptor, EXPONENTIAL_HISTOGRAM_DATA_POINT, buckets, exponential_histogram_data_point,
};
use crate::metrics::columns::{
    BASE_BYTES, BaseColumns, EXEMPLAR_BYTES, PointBase, count, metric_columns,
};
use crate::metrics::histogram::{STATISTICS_BYTES, Statistics, StatisticsColumns};
use crate::metrics::{Metric, Point};
use crate::request::Request;
use crate::schema::Table;
use crate::wire::{Cursor, Message};

/// The columns of otel_metrics_exponential_histogram.
pub(crate) struct ExponentialHistogramColumns {
    base: BaseColumns,
    exemplars: Texts,
    statistics: StatisticsColumns,
    scale: Int32s,
    zero_count: Int64s,
    zero_threshold: Doubles,
    positive: SideColumns,
    negative: SideColumns,
    aggregation_temporality: Labels,
}

/// One side's buckets.
struct SideColumns {
    offset: Int32s,
    bucket_counts: Lists<Int64s>,
}

column_of!(SideColumns { offset, bucket_counts });

impl SideColumns {
    fn new(column: &'static str) -> Self {
        Self {
            offset: Int32s::default(),
            bucket_counts: Lists::new(Table::ExponentialHistogram, column),
        }
    }

    /// "an offset is null when that side is not given".
    fn push(
        &mut self,
        request: &mut Request<'_>,
        side: &Message<'_>,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let mut offset = side.is_present().then_some(0);
        let counts = &mut self.bucket_counts.items;
        for part in side.parts() {
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    buckets::OFFSET => offset = Some(zigzag(cursor.read_varint()?)),
                    buckets::BUCKET_COUNTS => {
                        request.renderer.charge(size_of::<i64>())?;
                        counts.push(count(cursor.read_varint()?, bytes)?);
                    }
                    buckets::BUCKET_COUNTS_PACKED => {
                        let packed = cursor.read_len()?;
                        // Each takes a byte or more there, and eight as a column's value.
                        let items = packed.iter().filter(|&&byte| byte < 0x80).count();
                        request.renderer.charge(items * size_of::<i64>())?;
                        let mut packed = Cursor::new(packed);
                        while !packed.is_empty() {
                            counts.push(count(packed.read_varint()?, bytes)?);
                        }
                    }
                    _ => request.renderer.skip_unknown(&mut cursor, tag)?,
                }
            }
        }
        let items = counts.len();
        self.bucket_counts.end_row(items);
        self.offset.push_option(offset);
        Ok(())
    }
}

/// A `sint32`: the low 32 bits, zigzag.
fn zigzag(varint: u64) -> i32 {
    let value = varint as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

column_of!(ExponentialHistogramColumns {
    base,
    exemplars,
    statistics,
    scale,
    zero_count,
    zero_threshold,
    positive,
    negative,
    aggregation_temporality,
});
metric_columns!(ExponentialHistogramColumns, this => Some(&mut this.exemplars));

impl Default for ExponentialHistogramColumns {
    fn default() -> Self {
        Self {
            base: BaseColumns::default(),
            exemplars: Texts::default(),
            statistics: StatisticsColumns::default(),
            scale: Int32s::default(),
            zero_count: Int64s::default(),
            zero_threshold: Doubles::default(),
            positive: SideColumns::new("PositiveBucketCounts"),
            negative: SideColumns::new("NegativeBucketCounts"),
            aggregation_temporality: Labels::default(),
        }
    }
}

#[derive(Default)]
pub(crate) struct ExponentialHistogramPoint<'a> {
    base: PointBase,
    statistics: Statistics,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Message<'a>,
    negative: Message<'a>,
}

impl<'a> Point<'a> for ExponentialHistogramPoint<'a> {
    type Columns = ExponentialHistogramColumns;
    const DESCRIPTOR: &'static Descriptor = &EXPONENTIAL_HISTOGRAM_DATA_POINT;
    const ROW_BYTES: usize = BASE_BYTES + STATISTICS_BYTES + 42;

    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault> {
        use exponential_histogram_data_point as field;
        let mut point = Self::default();
        request.begin_attributes(attributes);
        exemplars.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                field::ATTRIBUTES => request.read_attributes(attributes, &mut cursor, tag)?,
                field::START_TIME_UNIX_NANO => point.base.start_time = cursor.read_fixed64()?,
                field::TIME_UNIX_NANO => point.base.time = cursor.read_fixed64()?,
                field::COUNT => point.statistics.count = cursor.read_fixed64()?,
                field::SUM => point.statistics.sum = Some(cursor.read_double()?),
                field::SCALE => point.scale = zigzag(cursor.read_varint()?),
                field::ZERO_COUNT => point.zero_count = cursor.read_fixed64()?,
                field::POSITIVE => {
                    request.renderer.merge(&mut point.positive, cursor.read_len()?)?;
                }
                field::NEGATIVE => {
                    request.renderer.merge(&mut point.negative, cursor.read_len()?)?;
                }
                field::FLAGS => point.base.flags = cursor.read_varint()? as u32,
                field::EXEMPLARS => {
                    request.count_nested(EXEMPLAR_BYTES)?;
                    exemplars.push(cursor.read_len()?);
                }
                field::MIN => point.statistics.min = Some(cursor.read_double()?),
                field::MAX => point.statistics.max = Some(cursor.read_double()?),
                field::ZERO_THRESHOLD => point.zero_threshold = cursor.read_double()?,
                _ => request.renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok(point)
    }

    fn base(&self) -> &PointBase {
        &self.base
    }

    fn append(
        &self,
        columns: &mut ExponentialHistogramColumns,
        request: &mut Request<'a>,
        bytes: &'a [u8],
    ) -> Result<(), Fault> {
        columns.statistics.push(&self.statistics, bytes)?;
        columns.zero_count.push(count(self.zero_count, bytes)?);
        columns.positive.push(request, &self.positive, bytes)?;
        columns.negative.push(request, &self.negative, bytes)?;
        columns.scale.push(self.scale);
        columns.zero_threshold.push(self.zero_threshold);
        Ok(())
    }

    fn end_metric(columns: &mut ExponentialHistogramColumns, metric: &Metric<'a>, rows: usize) {
        metric.push_temporality(&mut columns.aggregation_temporality, rows);
    }
}
