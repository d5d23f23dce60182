//! Tables of a few rows: one buffer holds what all of their columns hold.
//!
//! A request of ten records has as many columns as one of a thousand, and buffers and arrays of
//! each column's own cost more than to read the records. So the columns of a small table are
//! written as Arrow lays them out, one behind another into one buffer, and keep their own room for
//! the next request; the arrays, which only say what lies where, are made with the record batch.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, PrimitiveArray, StringArray,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_schema::{ArrowError, DataType, FieldRef};

use super::finished::{MakeText, Zeros};
use super::numbers::INSTANT;
use super::uniform::{Item, Uniform};

/// So many rows, and so many bytes in its columns, a small table has at most.
pub(crate) const SMALL_ROWS: usize = 256;
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// A small table's columns do not keep more room than this.
pub(crate) const KEPT_BYTES: usize = 128 << 10;

/// Some of a table's bytes.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Written { start: u32, len: u32 },
    Zeros { len: u32 },
}

type MakeNumbers = fn(Buffer, usize, Option<NullBuffer>) -> Result<ArrayRef, ArrowError>;

/// Where the parts of a column lie.
#[derive(Debug)]
enum Column {
    Numbers { make: MakeNumbers, values: Piece, nulls: Option<Piece> },
    Booleans { bits: Piece },
    Texts { offsets: Piece, text: Piece, nulls: Option<Piece> },
    Lists { field: &'static FieldRef, offsets: Piece, item: u32, items: u32 },
}

/// A small table while it is written.
pub(crate) struct SmallWriter {
    bytes: MutableBuffer,
    columns: Vec<Column>,
    items: Vec<Column>,
}

/// A small table.
#[derive(Debug)]
pub(crate) struct SmallTable {
    bytes: Buffer,
    rows: usize,
    columns: Vec<Column>,
    /// The columns of which lists are made.
    items: Vec<Column>,
    make_text: MakeText,
}

impl SmallWriter {
    /// A writer of about so many bytes.
    pub fn new(bytes: usize) -> Self {
        let (bytes, columns) = (MutableBuffer::with_capacity(bytes), Vec::with_capacity(40));
        Self { bytes, columns, items: Vec::new() }
    }

    /// The table of all that was pushed.
    pub fn finish(self, rows: usize, make_text: MakeText) -> SmallTable {
        let Self { bytes, columns, items } = self;
        SmallTable { bytes: bytes.into(), rows, columns, items, make_text }
    }

    /// Where the next part of a column begins: aligned for any type.
    fn begin(&mut self) -> usize {
        let start = self.bytes.len().next_multiple_of(size_of::<i64>());
        self.bytes.resize(start, 0);
        start
    }

    /// What has been written from a place on.
    fn piece(&self, start: usize) -> Piece {
        // A small table's text, written into every row, is far below 2^32.
        Piece::Written { start: start as u32, len: (self.bytes.len() - start) as u32 }
    }

    fn write<T: Item + ArrowNativeType>(&mut self, items: &Uniform<T>) -> Piece {
        let len = items.len();
        match items.alike() {
            Some(item) if item.is(T::default()) => zeros(len * size_of::<T>()),
            Some(item) => {
                let start = self.begin();
                self.bytes.reserve(len * size_of::<T>());
                (0..len).for_each(|_| self.bytes.push(item));
                self.piece(start)
            }
            None => {
                let start = self.begin();
                self.bytes.extend_from_slice(items.values());
                self.piece(start)
            }
        }
    }

    fn write_bits(&mut self, bits: impl Iterator<Item = bool>) -> Piece {
        let start = self.bytes.len();
        let (mut byte, mut count) = (0_u8, 0);
        for bit in bits {
            byte |= u8::from(bit) << (count % 8);
            count += 1;
            if count % 8 == 0 {
                self.bytes.push(std::mem::take(&mut byte));
            }
        }
        if count % 8 > 0 {
            self.bytes.push(byte);
        }
        self.piece(start)
    }

    /// The nulls of items that say whether they are valid; none were told of where none are null.
    pub fn write_valid(&mut self, valid: &Uniform<bool>) -> Nulls {
        match valid.alike() {
            Some(false) if valid.len() > 0 => Nulls(Some(no_bits(valid.len()))),
            Some(_) => Nulls(None),
            None => Nulls(Some(self.write_bits(valid.values().iter().copied()))),
        }
    }

    /// The nulls of rows of which each can be asked.
    pub fn write_nulls(&mut self, rows: usize, is_null: impl Fn(usize) -> bool) -> Nulls {
        let has_nulls = (0..rows).any(&is_null);
        Nulls(has_nulls.then(|| self.write_bits((0..rows).map(|row| !is_null(row)))))
    }

    pub fn push_numbers<T: ArrowPrimitiveType>(&mut self, items: &Uniform<T::Native>, nulls: Nulls)
    where
        T::Native: Item,
    {
        let values = self.write(items);
        self.columns.push(Column::Numbers { make: make_numbers::<T>, values, nulls: nulls.0 });
    }

    pub fn push_booleans(&mut self, items: &Uniform<bool>) {
        let bits = self.write_bits((0..items.len()).map(|at| items.get(at)));
        self.columns.push(Column::Booleans { bits });
    }

    /// Texts that lie one behind another already.
    pub fn push_texts(&mut self, offsets: &Uniform<i32>, text: &[u8], nulls: Nulls) {
        let offsets = self.write(offsets);
        let text = self.write_text(text);
        self.columns.push(Column::Texts { offsets, text, nulls: nulls.0 });
    }

    fn write_text(&mut self, text: &[u8]) -> Piece {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.piece(start)
    }

    /// Texts that rows share: each, or null, and how many rows one after another have it.
    pub fn push_runs<'a>(
        &mut self,
        rows: usize,
        runs: impl Iterator<Item = (Option<&'a [u8]>, usize)> + Clone,
    ) {
        if runs.clone().all(|(text, _)| text.is_none()) {
            let nulls = (rows > 0).then(|| no_bits(rows));
            let offsets = zeros((rows + 1) * size_of::<i32>());
            self.columns.push(Column::Texts { offsets, text: zeros(0), nulls });
            return;
        }
        let start = self.begin();
        self.bytes.extend_zeros((rows + 1) * size_of::<i32>());
        let mut left = &mut self.bytes.typed_data_mut::<i32>()[start / size_of::<i32>() + 1..];
        let (mut end, mut has_nulls) = (0, false);
        for (text, count) in runs.clone() {
            has_nulls |= text.is_none();
            let len = text.map_or(0, <[u8]>::len) as i32;
            let offsets = left.split_off_mut(..count).unwrap_or_default();
            // Far below 2^31; checked sums would not become vector code.
            (1_i32..).zip(offsets).for_each(|(row, offset)| {
                *offset = row.wrapping_mul(len).wrapping_add(end);
            });
            end += len * count as i32;
        }
        let offsets = self.piece(start);
        let start = self.bytes.len();
        self.bytes.reserve(end as usize);
        for (text, count) in runs.clone() {
            match text {
                Some(text) if count == 1 => self.bytes.extend_from_slice(text),
                Some(text) if !text.is_empty() => self.bytes.repeat_slice_n_times(text, count),
                _ => {}
            }
        }
        let text = self.piece(start);
        let valid = runs.flat_map(|(text, count)| std::iter::repeat_n(text.is_some(), count));
        let nulls = has_nulls.then(|| self.write_bits(valid));
        self.columns.push(Column::Texts { offsets, text, nulls });
    }

    /// Begins the items of lists; gives what `push_lists` is to know.
    pub fn begin_items(&self) -> usize {
        self.columns.len()
    }

    /// Makes lists of the columns pushed since `begin_items`.
    pub fn push_lists(
        &mut self,
        begun: usize,
        items: usize,
        offsets: &Uniform<i32>,
        fields: impl Iterator<Item = &'static FieldRef>,
    ) {
        let offsets = self.write(offsets);
        let first = self.items.len();
        self.items.extend(self.columns.drain(begun..));
        for (item, field) in (first..self.items.len()).zip(fields) {
            let (item, items) = (item as u32, items as u32);
            self.columns.push(Column::Lists { field, offsets, item, items });
        }
    }
}

/// Which rows of a column to come are null.
pub(crate) struct Nulls(Option<Piece>);

impl Nulls {
    pub fn none() -> Self {
        Self(None)
    }

    /// Nulls of so many rows, all of them.
    pub fn all(rows: usize) -> Self {
        Self((rows > 0).then(|| no_bits(rows)))
    }
}

fn zeros(len: usize) -> Piece {
    Piece::Zeros { len: len as u32 }
}

fn no_bits(count: usize) -> Piece {
    zeros(count.div_ceil(8))
}

fn make_numbers<T: ArrowPrimitiveType>(
    values: Buffer,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(ScalarBuffer::new(values, 0, rows), nulls)?;
    Ok(match T::DATA_TYPE {
        DataType::Timestamp(..) => Arc::new(array.with_data_type(INSTANT.clone())),
        _ => Arc::new(array),
    })
}

impl SmallTable {
    /// The columns' arrays of a range of rows.
    pub fn arrays(&self, rows: &Range<usize>) -> Result<Vec<ArrayRef>, ArrowError> {
        let arrays = self.columns.iter().map(|column| {
            let array = self.array(column, self.rows)?;
            let is_all = rows.len() == self.rows;
            Ok(if is_all { array } else { array.slice(rows.start, rows.len()) })
        });
        arrays.collect()
    }

    fn get(&self, piece: Piece) -> Buffer {
        match piece {
            Piece::Written { start, len } => {
                self.bytes.slice_with_length(start as usize, len as usize)
            }
            Piece::Zeros { len } => Zeros::default().get(len as usize),
        }
    }

    fn nulls(&self, piece: Option<Piece>, rows: usize) -> Option<NullBuffer> {
        piece.map(|bits| NullBuffer::new(BooleanBuffer::new(self.get(bits), 0, rows)))
    }

    fn offsets(&self, piece: Piece, rows: usize) -> ScalarBuffer<i32> {
        ScalarBuffer::new(self.get(piece), 0, rows + 1)
    }

    fn array(&self, column: &Column, rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(match *column {
            Column::Numbers { make, values, nulls } => {
                make(self.get(values), rows, self.nulls(nulls, rows))?
            }
            Column::Booleans { bits } => {
                Arc::new(BooleanArray::new(BooleanBuffer::new(self.get(bits), 0, rows), None))
            }
            Column::Texts { offsets, text, nulls } => {
                let text: StringArray = (self.make_text)(
                    self.offsets(offsets, rows),
                    self.get(text),
                    self.nulls(nulls, rows),
                )?;
                Arc::new(text)
            }
            Column::Lists { field, offsets, item, items } => {
                let items = self.array(&self.items[item as usize], items as usize)?;
                let offsets = OffsetBuffer::new(self.offsets(offsets, rows));
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, None)?)
            }
        })
    }
}
