//! Growing Arrow columns, and the two ways back: a row that is not kept, a request that fails.
//!
//! A column knows rows and bytes and no OTLP. Each holds plain vectors that become Arrow
//! buffers without a copy. `truncate` drops the rows past a count, also half-written ones, so
//! a reader may append first and find out later; `checkpoint` and `rollback` undo everything
//! since a request began, dictionary entries included.

use std::sync::{Arc, LazyLock};

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrowPrimitiveType, BooleanArray, ListArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use crate::buffer::ByteBuffer;
use crate::dictionary::Dictionary;
use crate::finished::{Finished, MakeText, NULL_KEY};
use crate::schema::{Table, list_items};

/// What is common to the columns of a table.
pub(crate) trait Column {
    /// Drops the rows from `rows` on, and whatever was begun after them.
    fn truncate(&mut self, rows: usize);
    /// Remembers the present state.
    fn checkpoint(&mut self);
    /// Returns to the state of the last `checkpoint`.
    fn rollback(&mut self);
    /// Bytes held, as Arrow would count them.
    fn num_bytes(&self) -> usize;
    /// Bytes of memory beside those: room that buffers have made for rows to come.
    fn spare_bytes(&self) -> usize;
    /// Gives the finished columns (one for most); this one is not to be used afterwards.
    fn finish(&mut self, make_text: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError>;
    /// Makes room for `rows` more rows.
    fn reserve(&mut self, rows: usize);
}

/// Bytes that a vector has room for beyond what it holds.
pub(crate) fn spare<T>(values: &Vec<T>) -> usize {
    (values.capacity() - values.len()) * size_of::<T>()
}

/// Which rows are null; costs nothing until the first null. The column knows how many rows.
#[derive(Default)]
struct Nulls {
    /// Whether the row is valid, for each row; empty while no row is null.
    valid: Vec<bool>,
}

impl Nulls {
    /// Says whether row `row`, the next one, is valid.
    #[inline(always)]
    fn push(&mut self, row: usize, is_valid: bool) {
        if self.valid.is_empty() {
            if is_valid {
                return;
            }
            self.valid.resize(row, true);
        }
        self.valid.push(is_valid);
    }

    fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
    }

    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        let valid = std::mem::take(&mut self.valid);
        if valid.contains(&false) { nulls_where(rows, |row| !valid[row]) } else { None }
    }
}

/// The nulls of a column whose values tell which rows are null.
pub(crate) fn nulls_where(rows: usize, is_null: impl Fn(usize) -> bool) -> Option<NullBuffer> {
    if !(0..rows).any(&is_null) {
        return None;
    }
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| !is_null(row))))
}

/// Numbers, times included.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
    mark: usize,
}

pub(crate) type Int32s = Numbers<Int32Type>;
pub(crate) type Int64s = Numbers<Int64Type>;
pub(crate) type Doubles = Numbers<Float64Type>;
/// Microseconds since the epoch, UTC.
pub(crate) type Instants = Numbers<TimestampMicrosecondType>;

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: Nulls::default(), mark: 0 }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    #[inline(always)]
    pub fn push(&mut self, value: T::Native) {
        self.nulls.push(self.values.len(), true);
        self.values.push(value);
    }

    #[inline(always)]
    pub fn push_option(&mut self, value: Option<T::Native>) {
        self.nulls.push(self.values.len(), value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }
}

/// The time zone that every time column carries.
pub(crate) const UTC: &str = "UTC";

static INSTANT: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())));

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
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

    fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    fn num_bytes(&self) -> usize {
        self.values.len() * size_of::<T::Native>()
    }

    fn spare_bytes(&self) -> usize {
        spare(&self.values) + self.nulls.valid.capacity()
    }

    fn finish(&mut self, _: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        let nulls = self.nulls.finish(self.values.len());
        let values = ScalarBuffer::from(std::mem::take(&mut self.values));
        let array = PrimitiveArray::<T>::try_new(values, nulls)?;
        out.push(Finished::Array(Arc::new(match T::DATA_TYPE {
            DataType::Timestamp(..) => array.with_data_type(INSTANT.clone()),
            _ => array,
        })));
        Ok(())
    }
}

/// True and false, never null.
#[derive(Default)]
pub(crate) struct Booleans {
    values: Vec<bool>,
    mark: usize,
}

impl Booleans {
    #[inline(always)]
    pub fn push(&mut self, value: bool) {
        self.values.push(value);
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

    fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    fn num_bytes(&self) -> usize {
        self.values.len().div_ceil(8)
    }

    fn spare_bytes(&self) -> usize {
        self.values.capacity() - self.values.len().div_ceil(8)
    }

    fn finish(&mut self, _: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        let values = std::mem::take(&mut self.values);
        out.push(Finished::Array(Arc::new(BooleanArray::from(values))));
        Ok(())
    }
}

/// Text of many different values: ids, bodies, attribute lists.
pub(crate) struct Texts {
    /// The rows' bytes one after another, valid UTF-8; a row may be half written at the end.
    pub data: ByteBuffer,
    offsets: Vec<i32>,
    nulls: Nulls,
    /// Whether `nulls` counts for nothing and the rows without text are null.
    empty_is_null: bool,
    mark: usize,
    /// Bytes that a row is expected to take.
    row_bytes: usize,
}

impl Default for Texts {
    fn default() -> Self {
        Self::of(0)
    }
}

impl Texts {
    /// A column whose rows take about `row_bytes` each; 0 if nobody can tell.
    pub fn of(row_bytes: usize) -> Self {
        Self {
            data: ByteBuffer::default(),
            offsets: vec![0],
            nulls: Nulls::default(),
            empty_is_null: false,
            mark: 0,
            row_bytes,
        }
    }

    /// Ends the row whose bytes were pushed to `data`.
    #[inline(always)]
    pub fn end_row(&mut self) {
        // No wrap: `Limits::MAX_PAYLOAD_BYTES` and `FULL_COLUMN_BYTES` keep this below 2^31.
        self.nulls.push(self.len(), true);
        self.offsets.push(self.data.len() as i32);
    }

    /// Ends the row; null if nothing was pushed for it, and so are all such rows of the column.
    #[inline(always)]
    pub fn end_row_or_null(&mut self) {
        self.empty_is_null = true;
        self.offsets.push(self.data.len() as i32);
    }

    #[inline(always)]
    pub fn push_null(&mut self) {
        self.nulls.push(self.len(), false);
        self.offsets.push(self.data.len() as i32);
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn finish_array(&mut self, make_text: MakeText) -> Result<StringArray, ArrowError> {
        let offsets = std::mem::take(&mut self.offsets);
        let rows = offsets.len() - 1;
        let nulls = if self.empty_is_null {
            nulls_where(rows, |row| offsets[row] == offsets[row + 1])
        } else {
            self.nulls.finish(rows)
        };
        make_text(ScalarBuffer::from(offsets), Buffer::from_vec(self.data.take()), nulls)
    }
}

impl Column for Texts {
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(end as usize);
        self.nulls.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.len();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
    }

    fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
        self.data.spare(rows * self.row_bytes);
    }

    fn num_bytes(&self) -> usize {
        self.data.len() + self.len() * size_of::<i32>()
    }

    fn spare_bytes(&self) -> usize {
        self.data.spare_bytes() + spare(&self.offsets) + self.nulls.valid.capacity()
    }

    fn finish(&mut self, make_text: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        out.push(Finished::Array(Arc::new(self.finish_array(make_text)?)));
        Ok(())
    }
}

/// Text of few different values: names, kinds, severities. Stored once, keyed per row.
pub(crate) struct Labels {
    dictionary: Dictionary,
    /// A key or `NULL_KEY` per row.
    keys: Vec<i32>,
    /// The keys of texts that are known by a number beforehand, or `NULL_KEY`.
    known: [i32; KNOWN],
    mark: usize,
}

const KNOWN: usize = 8;

impl Default for Labels {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            keys: Vec::new(),
            known: [NULL_KEY; KNOWN],
            mark: 0,
        }
    }
}

impl Labels {
    #[inline]
    pub fn push_null(&mut self) {
        self.keys.push(NULL_KEY);
    }

    /// Appends the text that this column knows as `number`: always the same one.
    #[inline]
    pub fn push_known(&mut self, number: usize, text: &'static str) {
        match self.known.get(number) {
            Some(&key @ 0..) => self.keys.push(key),
            _ => self.meet(number, text),
        }
    }

    #[cold]
    fn meet(&mut self, number: usize, text: &'static str) {
        self.push(text.as_bytes());
        if let (Some(known), Some(&key)) = (self.known.get_mut(number), self.keys.last()) {
            *known = key;
        }
    }

    /// Appends a text, also an empty one; false (and nothing done) if it is not valid UTF-8.
    #[inline]
    pub fn push(&mut self, text: &[u8]) -> bool {
        match self.dictionary.key(text) {
            Some(key) => {
                self.keys.push(key);
                true
            }
            None => false,
        }
    }
}

impl Column for Labels {
    fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.keys.len();
        self.dictionary.checkpoint();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
        self.dictionary.rollback();
        self.known = [NULL_KEY; KNOWN];
    }

    fn reserve(&mut self, rows: usize) {
        self.keys.reserve(rows);
    }

    fn num_bytes(&self) -> usize {
        self.dictionary.num_bytes() + self.keys.len() * size_of::<i32>()
    }

    fn spare_bytes(&self) -> usize {
        self.dictionary.spare_bytes() + spare(&self.keys)
    }

    fn finish(&mut self, _: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        out.push(Finished::Keys {
            keys: std::mem::take(&mut self.keys),
            values: self.dictionary.finish(),
        });
        Ok(())
    }
}

/// Makes a struct of columns one column, of which a row is a row of each.
macro_rules! column_of {
    ($of:ident { $($part:ident),* $(,)? }) => {
        impl Column for $of {
            fn truncate(&mut self, rows: usize) {
                $(self.$part.truncate(rows);)*
            }

            fn checkpoint(&mut self) {
                $(self.$part.checkpoint();)*
            }

            fn rollback(&mut self) {
                $(self.$part.rollback();)*
            }

            fn reserve(&mut self, rows: usize) {
                $(self.$part.reserve(rows);)*
            }

            fn num_bytes(&self) -> usize {
                0 $(+ self.$part.num_bytes())*
            }

            fn spare_bytes(&self) -> usize {
                0 $(+ self.$part.spare_bytes())*
            }

            fn finish(
                &mut self,
                make_text: MakeText,
                out: &mut Vec<Finished>,
            ) -> Result<(), ArrowError> {
                $(self.$part.finish(make_text, out)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use column_of;

/// Lists of a column's values, or parallel lists of several columns' values; never null.
pub(crate) struct Lists<C> {
    /// The items of all rows one after another.
    pub items: C,
    offsets: Vec<i32>,
    /// The list columns that the items make: in this table, from this column on.
    table: Table,
    first: &'static str,
    mark: usize,
    /// Items to make room for when the first one comes: most lists of most tables are empty.
    expected_items: usize,
}

impl<C: Column + Default> Lists<C> {
    /// The list column `first` of a table, and one more for each further column of the items.
    pub fn new(table: Table, first: &'static str) -> Self {
        let items = C::default();
        Self { items, offsets: vec![0], table, first, mark: 0, expected_items: 0 }
    }

    /// Begins a row that has items.
    #[inline(always)]
    pub fn begin_row(&mut self) -> &mut C {
        if self.expected_items > 0 {
            self.items.reserve(std::mem::take(&mut self.expected_items));
        }
        &mut self.items
    }

    /// Ends the row; `items` is the number of items in all rows now.
    #[inline(always)]
    pub fn end_row(&mut self, items: usize) {
        self.offsets.push(items as i32);
    }
}

impl<C: Column + Default> Column for Lists<C> {
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.items.truncate(end as usize);
    }

    fn checkpoint(&mut self) {
        self.mark = self.offsets.len() - 1;
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
    }

    fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
        self.expected_items = rows / 4;
    }

    fn num_bytes(&self) -> usize {
        self.items.num_bytes() + self.offsets.len() * size_of::<i32>()
    }

    fn spare_bytes(&self) -> usize {
        self.items.spare_bytes() + spare(&self.offsets)
    }

    fn finish(&mut self, make_text: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        let mut items = Vec::new();
        self.items.finish(make_text, &mut items)?;
        for (items, item) in items.into_iter().zip(list_items(self.table, self.first)) {
            let items = items.into_array(make_text)?;
            let lists = ListArray::try_new(Arc::clone(item), offsets.clone(), items, None)?;
            out.push(Finished::Array(Arc::new(lists)));
        }
        Ok(())
    }
}
