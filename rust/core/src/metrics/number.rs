//! NumberDataPoint -> otel_metrics_gauge and otel_metrics_sum.

use crate::columns::{Booleans, ByteBuffer, Doubles, Int64s, Labels, Texts, column_of};
use crate::error::Fault;
use crate::fields::{Descriptor, NUMBER_DATA_POINT, number_data_point};
use crate::metrics::columns::{BASE_BYTES, BaseColumns, EXEMPLAR_BYTES, PointBase, metric_columns};
use crate::metrics::{Metric, Point};
use crate::request::Request;
use crate::wire::{Cursor, read_fields};

/// The columns of otel_metrics_gauge, and with `sum` those of otel_metrics_sum.
pub(crate) struct NumberColumns {
    base: BaseColumns,
    exemplars: Texts,
    value: Doubles,
    int_value: Int64s,
    sum: Option<SumColumns>,
}

column_of!(NumberColumns { base, exemplars, value, int_value, sum });
metric_columns!(NumberColumns, this => Some(&mut this.exemplars));

#[derive(Default)]
struct SumColumns {
    aggregation_temporality: Labels,
    is_monotonic: Booleans,
}

column_of!(SumColumns { aggregation_temporality, is_monotonic });

impl NumberColumns {
    pub fn gauge() -> Self {
        Self {
            base: BaseColumns::default(),
            exemplars: Texts::default(),
            value: Doubles::default(),
            int_value: Int64s::default(),
            sum: None,
        }
    }

    pub fn sum() -> Self {
        Self { sum: Some(SumColumns::default()), ..Self::gauge() }
    }
}

/// The `oneof value` of a number data point or exemplar.
#[derive(Clone, Copy, Default)]
pub(crate) enum Number {
    #[default]
    Absent,
    Double(f64),
    Int(i64),
}

#[derive(Default)]
pub(crate) struct NumberPoint<'a> {
    base: PointBase,
    value: Number,
    bytes: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> NumberPoint<'a> {
    #[inline(always)]
    fn read_field(
        &mut self,
        request: &mut Request<'a>,
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
        cursor: &mut Cursor<'a>,
        tag: u32,
    ) -> Result<(), Fault> {
        use number_data_point as field;
        match tag {
            field::START_TIME_UNIX_NANO => self.base.start_time = cursor.read_fixed64()?,
            field::TIME_UNIX_NANO => self.base.time = cursor.read_fixed64()?,
            field::AS_DOUBLE => self.value = Number::Double(cursor.read_double()?),
            field::AS_INT => self.value = Number::Int(cursor.read_fixed64()? as i64),
            field::EXEMPLARS => {
                request.count_nested(EXEMPLAR_BYTES)?;
                exemplars.push(cursor.read_len()?);
            }
            field::LABELS => {
                cursor.read_len()?;
                self.base.has_labels = true;
            }
            field::ATTRIBUTES => request.read_attributes(attributes, cursor, tag)?,
            field::FLAGS => self.base.flags = cursor.read_varint()? as u32,
            _ => request.renderer.skip_unknown(cursor, tag)?,
        }
        Ok(())
    }
}

impl<'a> Point<'a> for NumberPoint<'a> {
    type Columns = NumberColumns;
    const DESCRIPTOR: &'static Descriptor = &NUMBER_DATA_POINT;
    const ROW_BYTES: usize = BASE_BYTES + 23;

    #[inline(never)]
    fn read(
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<Self, Fault> {
        use number_data_point::{
            AS_DOUBLE, AS_INT, ATTRIBUTES, EXEMPLARS, START_TIME_UNIX_NANO, TIME_UNIX_NANO,
        };
        let mut point = Self::default();
        request.begin_attributes(attributes);
        exemplars.clear();
        let mut cursor = Cursor::new(bytes);
        read_fields!(
            cursor,
            [
                START_TIME_UNIX_NANO,
                TIME_UNIX_NANO,
                AS_DOUBLE,
                EXEMPLARS: repeated,
                AS_INT,
                ATTRIBUTES,
            ],
            |cursor, tag| point.read_field(request, attributes, exemplars, cursor, tag)
        );
        Ok(point)
    }

    fn base(&self) -> &PointBase {
        &self.base
    }

    #[inline]
    fn append(
        &self,
        columns: &mut NumberColumns,
        _: &mut Request<'a>,
        _: &'a [u8],
    ) -> Result<(), Fault> {
        // "null when the point has no value; an int is also given as its double".
        let (value, int_value) = match self.value {
            Number::Absent => (None, None),
            Number::Double(value) => (Some(value), None),
            Number::Int(value) => (Some(value as f64), Some(value)),
        };
        columns.value.push_option(value);
        columns.int_value.push_option(int_value);
        Ok(())
    }

    fn end_metric(columns: &mut NumberColumns, metric: &Metric<'a>, rows: usize) {
        if let Some(sum) = &mut columns.sum {
            metric.push_temporality(&mut sum.aggregation_temporality, rows);
            sum.is_monotonic.extend(metric.is_monotonic, rows);
        }
    }
}
