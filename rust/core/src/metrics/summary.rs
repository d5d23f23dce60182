//! SummaryDataPoint -> otel_metrics_summary.

use crate::columns::{ByteBuffer, Doubles, Int64s, Lists, column_of};
use crate::error::Fault;
use crate::fields::{Descriptor, SUMMARY_DATA_POINT, summary_data_point, value_at_quantile};
use crate::metrics::columns::{BASE_BYTES, BaseColumns, PointBase, count, metric_columns};
use crate::metrics::{Metric, Point};
use crate::request::Request;
use crate::schema::Table;
use crate::wire::Cursor;

/// The columns of otel_metrics_summary.
pub(crate) struct SummaryColumns {
    base: BaseColumns,
    count: Int64s,
    sum: Doubles,
    quantiles: Lists<Doubles>,
    quantile_values: Lists<Doubles>,
}

column_of!(SummaryColumns { base, count, sum, quantiles, quantile_values });
metric_columns!(SummaryColumns, _this => None);

impl Default for SummaryColumns {
    fn default() -> Self {
        Self {
            base: BaseColumns::default(),
            count: Int64s::default(),
            sum: Doubles::default(),
            quantiles: Lists::new(Table::Summary, "Quantiles"),
            quantile_values: Lists::new(Table::Summary, "QuantileValues"),
        }
    }
}

#[derive(Default)]
pub(crate) struct SummaryPoint<'a> {
    base: PointBase,
    count: u64,
    sum: f64,
    bytes: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Point<'a> for SummaryPoint<'a> {
    type Columns = SummaryColumns;
    const DESCRIPTOR: &'static Descriptor = &SUMMARY_DATA_POINT;
    const ROW_BYTES: usize = BASE_BYTES + 24;

    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault> {
        use summary_data_point as field;
        let mut point = Self::default();
        request.begin_attributes(attributes);
        exemplars.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                field::START_TIME_UNIX_NANO => point.base.start_time = cursor.read_fixed64()?,
                field::TIME_UNIX_NANO => point.base.time = cursor.read_fixed64()?,
                field::COUNT => point.count = cursor.read_fixed64()?,
                field::SUM => point.sum = cursor.read_double()?,
                // Read by `append`, once it is known where they go.
                field::QUANTILE_VALUES => drop(cursor.read_len()?),
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
        columns: &mut SummaryColumns,
        request: &mut Request<'a>,
        bytes: &'a [u8],
    ) -> Result<(), Fault> {
        columns.count.push(count(self.count, bytes)?);
        columns.sum.push(self.sum);
        let (quantiles, values) = (&mut columns.quantiles, &mut columns.quantile_values);
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            if tag != summary_data_point::QUANTILE_VALUES {
                cursor.skip(tag)?;
                continue;
            }
            request.renderer.charge(2 * size_of::<f64>())?;
            let (mut quantile, mut value) = (0.0, 0.0);
            let mut pair = Cursor::new(cursor.read_len()?);
            while let Some(tag) = pair.next_tag()? {
                match tag {
                    value_at_quantile::QUANTILE => quantile = pair.read_double()?,
                    value_at_quantile::VALUE => value = pair.read_double()?,
                    _ => request.renderer.skip_unknown(&mut pair, tag)?,
                }
            }
            quantiles.items.push(quantile);
            values.items.push(value);
        }
        let items = quantiles.items.len();
        quantiles.end_row(items);
        values.end_row(items);
        Ok(())
    }

    fn end_metric(_: &mut SummaryColumns, _: &Metric<'a>, _: usize) {}
}
