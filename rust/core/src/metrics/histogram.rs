//! HistogramDataPoint -> otel_metrics_histogram.

use crate::columns::{ByteBuffer, Doubles, Int64s, Labels, Lists, Texts, column_of};
use crate::error::{Fault, Malformed};
use crate::fields::{Descriptor, HISTOGRAM_DATA_POINT, histogram_data_point};
use crate::metrics::columns::{
    BASE_BYTES, BaseColumns, EXEMPLAR_BYTES, PointBase, count, metric_columns,
};
use crate::metrics::{Metric, Point};
use crate::request::Request;
use crate::schema::Table;
use crate::wire::Cursor;

/// Count, Sum, Min and Max of both kinds of histogram.
#[derive(Default)]
pub(crate) struct StatisticsColumns {
    count: Int64s,
    sum: Doubles,
    min: Doubles,
    max: Doubles,
}

column_of!(StatisticsColumns { count, sum, min, max });

/// Bytes of a row in these columns.
pub(crate) const STATISTICS_BYTES: usize = 35;

impl StatisticsColumns {
    pub fn push(&mut self, statistics: &Statistics, bytes: &[u8]) -> Result<(), Fault> {
        self.count.push(count(statistics.count, bytes)?);
        self.sum.push_option(statistics.sum);
        self.min.push_option(statistics.min);
        self.max.push_option(statistics.max);
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Statistics {
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// The columns of otel_metrics_histogram.
pub(crate) struct HistogramColumns {
    base: BaseColumns,
    exemplars: Texts,
    statistics: StatisticsColumns,
    bucket_counts: Lists<Int64s>,
    explicit_bounds: Lists<Doubles>,
    aggregation_temporality: Labels,
}

column_of!(HistogramColumns {
    base,
    exemplars,
    statistics,
    bucket_counts,
    explicit_bounds,
    aggregation_temporality,
});
metric_columns!(HistogramColumns, this => Some(&mut this.exemplars));

impl Default for HistogramColumns {
    fn default() -> Self {
        Self {
            base: BaseColumns::default(),
            exemplars: Texts::default(),
            statistics: StatisticsColumns::default(),
            bucket_counts: Lists::new(Table::Histogram, "BucketCounts"),
            explicit_bounds: Lists::new(Table::Histogram, "ExplicitBounds"),
            aggregation_temporality: Labels::default(),
        }
    }
}

#[derive(Default)]
pub(crate) struct HistogramPoint<'a> {
    base: PointBase,
    statistics: Statistics,
    bytes: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Point<'a> for HistogramPoint<'a> {
    type Columns = HistogramColumns;
    const DESCRIPTOR: &'static Descriptor = &HISTOGRAM_DATA_POINT;
    const ROW_BYTES: usize = BASE_BYTES + STATISTICS_BYTES + 12;

    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault> {
        use histogram_data_point as field;
        let mut point = Self::default();
        request.begin_attributes(attributes);
        exemplars.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                field::START_TIME_UNIX_NANO => point.base.start_time = cursor.read_fixed64()?,
                field::TIME_UNIX_NANO => point.base.time = cursor.read_fixed64()?,
                field::COUNT => point.statistics.count = cursor.read_fixed64()?,
                field::SUM => point.statistics.sum = Some(cursor.read_double()?),
                field::MIN => point.statistics.min = Some(cursor.read_double()?),
                field::MAX => point.statistics.max = Some(cursor.read_double()?),
                // The list items are read by `append`, once it is known where they go.
                field::BUCKET_COUNTS | field::EXPLICIT_BOUNDS => drop(cursor.read_fixed64()?),
                field::BUCKET_COUNTS_PACKED | field::EXPLICIT_BOUNDS_PACKED => {
                    let packed = cursor.read_len()?;
                    if packed.len() % 8 != 0 {
                        return Err(Fault::wire(packed, Malformed::PackedLength));
                    }
                    request.renderer.charge(packed.len())?;
                }
                field::EXEMPLARS => {
                    request.count_nested(EXEMPLAR_BYTES)?;
                    exemplars.push(cursor.read_len()?);
                }
                field::LABELS => {
                    cursor.read_len()?;
                    point.base.has_labels = true;
                }
                field::ATTRIBUTES => request.read_attributes(attributes, &mut cursor, tag)?,
                field::FLAGS => point.base.flags = cursor.read_varint()? as u32,
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
        columns: &mut HistogramColumns,
        _: &mut Request<'a>,
        bytes: &'a [u8],
    ) -> Result<(), Fault> {
        use histogram_data_point as field;
        columns.statistics.push(&self.statistics, bytes)?;
        let (counts, bounds) =
            (&mut columns.bucket_counts.items, &mut columns.explicit_bounds.items);
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                field::BUCKET_COUNTS => counts.push(count(cursor.read_fixed64()?, bytes)?),
                field::BUCKET_COUNTS_PACKED => {
                    for item in cursor.read_len()?.as_chunks::<8>().0 {
                        counts.push(count(u64::from_le_bytes(*item), bytes)?);
                    }
                }
                field::EXPLICIT_BOUNDS => bounds.push(cursor.read_double()?),
                field::EXPLICIT_BOUNDS_PACKED => {
                    for item in cursor.read_len()?.as_chunks::<8>().0 {
                        bounds.push(f64::from_le_bytes(*item));
                    }
                }
                _ => cursor.skip(tag)?,
            }
        }
        let (counts, bounds) = (counts.len(), bounds.len());
        columns.bucket_counts.end_row(counts);
        columns.explicit_bounds.end_row(bounds);
        Ok(())
    }

    fn end_metric(columns: &mut HistogramColumns, metric: &Metric<'a>, rows: usize) {
        metric.push_temporality(&mut columns.aggregation_temporality, rows);
    }
}
