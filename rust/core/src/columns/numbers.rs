//! Numbers, times and booleans, and which rows are null.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::Column;
use super::finished::{Finished, Parts};
use super::portions::Portion;
use super::small::{self, SmallWriter};
use super::uniform::{Item, Items, Uniform};

/// Which rows are valid and which are null.
#[derive(Default)]
pub(super) struct Nulls {
    valid: Uniform<bool>,
}

impl Nulls {
    #[inline(always)]
    pub fn push(&mut self, is_valid: bool) {
        self.valid.push(is_valid);
    }

    pub fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
    }

    pub fn memory_bytes(&self) -> usize {
        self.valid.memory_bytes()
    }

    pub fn shrink(&mut self) {
        self.valid.shrink();
    }

    pub fn take(&mut self) -> Option<NullBuffer> {
        into_nulls(self.valid.take())
    }

    pub fn gather(&self, ranges: &[Range<usize>]) -> Option<NullBuffer> {
        // A column that has no nulls was never told of one.
        if self.valid.len() == 0 { None } else { into_nulls(self.valid.gather(ranges)) }
    }
}

impl Nulls {
    /// Writes which rows of a small table are null, and forgets them.
    pub fn write(&mut self, out: &mut SmallWriter) -> small::Nulls {
        let nulls = out.write_valid(&self.valid);
        self.valid.clear();
        nulls
    }

    pub fn clear(&mut self) {
        self.valid.clear();
    }
}

fn into_nulls(valid: Items<bool>) -> Option<NullBuffer> {
    match valid {
        Items::Alike(true, _) => None,
        Items::Alike(false, rows) => (rows > 0).then(|| NullBuffer::new_null(rows)),
        Items::Values(valid) => nulls_where(valid.len(), |row| !valid[row]),
    }
}

/// The nulls of a column whose values tell which rows are null.
pub(super) fn nulls_where(rows: usize, is_null: impl Fn(usize) -> bool) -> Option<NullBuffer> {
    if !(0..rows).any(&is_null) {
        return None;
    }
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| !is_null(row))))
}

/// Numbers, times included.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Uniform<T::Native>,
    nulls: Nulls,
    mark: usize,
}

pub(crate) type Int32s = Numbers<Int32Type>;
pub(crate) type Int64s = Numbers<Int64Type>;
pub(crate) type Doubles = Numbers<Float64Type>;
/// Microseconds since the epoch, UTC.
pub(crate) type Instants = Numbers<TimestampMicrosecondType>;

impl<T: ArrowPrimitiveType> Default for Numbers<T>
where
    T::Native: Item,
{
    fn default() -> Self {
        Self { values: Uniform::default(), nulls: Nulls::default(), mark: 0 }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T>
where
    T::Native: Item,
{
    /// Appends a value of a column that has no null.
    #[inline(always)]
    pub fn push(&mut self, value: T::Native) {
        self.values.push(value);
    }

    /// Appends a value or null, to a column that is never given any other way.
    #[inline(always)]
    pub fn push_option(&mut self, value: Option<T::Native>) {
        self.nulls.push(value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    /// Appends a value to `rows` rows, of a column that has no null.
    #[inline]
    pub fn extend(&mut self, value: T::Native, rows: usize) {
        self.values.extend(value, rows);
    }

    /// As `push_option`, to `rows` rows.
    #[inline]
    pub fn extend_option(&mut self, value: Option<T::Native>, rows: usize) {
        self.nulls.valid.extend(value.is_some(), rows);
        self.values.extend(value.unwrap_or_default(), rows);
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }
}

/// The time zone that every time column carries.
pub(crate) const UTC: &str = "UTC";

pub(super) static INSTANT: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())));

impl<T: ArrowPrimitiveType> Column for Numbers<T>
where
    T::Native: Item,
{
    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.values.len();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
    }

    fn num_bytes(&self) -> usize {
        self.values.len() * size_of::<T::Native>()
    }

    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.nulls.memory_bytes()
    }

    fn shrink(&mut self) {
        self.values.shrink();
        self.nulls.shrink();
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        self.mark = 0;
        if Portion::are_whole(portions, self.values.len()) {
            let (values, nulls) = (self.values.take(), self.nulls.take());
            return out.push_numbers::<T>(0, values, nulls);
        }
        let (values, nulls) = (std::mem::take(&mut self.values), std::mem::take(&mut self.nulls));
        for (at, portion) in portions.iter().enumerate() {
            out.push_numbers::<T>(
                at,
                values.gather(&portion.ranges),
                nulls.gather(&portion.ranges),
            )?;
        }
        Ok(())
    }

    fn write(&mut self, _rows: usize, out: &mut SmallWriter) {
        let nulls = self.nulls.write(out);
        out.push_numbers::<T>(&self.values, nulls);
        self.values.clear();
        self.mark = 0;
    }
}

impl Parts {
    /// Adds a column of numbers to a portion's.
    pub(super) fn push_numbers<T: ArrowPrimitiveType>(
        &mut self,
        portion: usize,
        values: Items<T::Native>,
        nulls: Option<NullBuffer>,
    ) -> Result<(), ArrowError>
    where
        T::Native: Item,
    {
        let values = match values {
            Items::Alike(value, len) if value.is(T::Native::default()) => {
                ScalarBuffer::new(self.zeros(len * size_of::<T::Native>()), 0, len)
            }
            values => ScalarBuffer::from(values.into_vec()),
        };
        let array = PrimitiveArray::<T>::try_new(values, nulls)?;
        let array = match T::DATA_TYPE {
            DataType::Timestamp(..) => array.with_data_type(INSTANT.clone()),
            _ => array,
        };
        self.push(portion, Finished::Array(Arc::new(array)));
        Ok(())
    }
}

/// True and false, never null.
#[derive(Default)]
pub(crate) struct Booleans {
    values: Uniform<bool>,
    mark: usize,
}

impl Booleans {
    /// Appends a value to `rows` rows.
    pub fn extend(&mut self, value: bool, rows: usize) {
        self.values.extend(value, rows);
    }
}

impl Column for Booleans {
    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.values.len();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
    }

    fn num_bytes(&self) -> usize {
        self.values.len().div_ceil(8)
    }

    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes()
    }

    fn shrink(&mut self) {
        self.values.shrink();
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        let values = std::mem::take(self).values;
        for (at, portion) in portions.iter().enumerate() {
            let bits = match values.gather(&portion.ranges) {
                Items::Alike(value, len) => {
                    if value {
                        BooleanBuffer::new_set(len)
                    } else {
                        BooleanBuffer::new_unset(len)
                    }
                }
                Items::Values(values) => BooleanBuffer::from(values),
            };
            out.push(at, Finished::Array(Arc::new(BooleanArray::new(bits, None))));
        }
        Ok(())
    }

    fn write(&mut self, _rows: usize, out: &mut SmallWriter) {
        out.push_booleans(&self.values);
        self.values.clear();
        self.mark = 0;
    }
}
