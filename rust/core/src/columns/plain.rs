//! Finished columns with plain strings: what the tables' contract says.
//!
//! The text of a row is written out, however many rows share it. Rows whose text would pass a
//! column's bound are split into several batches.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::blocks::{BLOCK, block_of};
use super::dictionary::Distinct;
use super::finished::{Finished, MakeText, NULL_KEY};
use super::numbers::nulls_where;
use super::uniform::Items;

/// A plain string column of one batch holds at most this much text (or a single row).
pub(super) const MAX_COLUMN_BYTES: usize = 1 << 30;

impl Finished {
    /// The array with plain strings.
    pub fn into_plain_array(self, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
        let bytes = self.plain_bytes();
        self.into_plain(bytes, make_text)
    }

    /// The array with plain strings; their bytes must be within Arrow's offsets.
    fn into_plain(self, bytes: usize, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
        let (data, offsets, nulls) = match self {
            Self::Array(array) => return Ok(array),
            Self::Runs { runs, column } => {
                let mut data = Vec::with_capacity(bytes);
                let mut offsets = Vec::with_capacity(runs.rows + 1);
                offsets.push(0);
                let mut has_nulls = false;
                for (text, rows) in runs.texts(column) {
                    push_repeated(&mut data, &mut offsets, text.unwrap_or_default(), rows);
                    has_nulls |= text.is_none();
                }
                (data, offsets, has_nulls.then(|| run_nulls(runs.texts(column))))
            }
            Self::Keys { keys: Items::Alike(key, rows), values } => {
                let mut data = Vec::with_capacity(bytes);
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                push_repeated(&mut data, &mut offsets, values.get(key).unwrap_or_default(), rows);
                let is_null = key == NULL_KEY && rows > 0;
                (data, offsets, is_null.then(|| NullBuffer::new_null(rows)))
            }
            Self::Keys { keys: Items::Values(keys), values } => {
                let mut offsets = Vec::with_capacity(keys.len() + 1);
                offsets.push(0);
                let data = plain_texts(&keys, &values, bytes, &mut offsets);
                (data, offsets, nulls_where(keys.len(), |row| keys[row] == NULL_KEY))
            }
        };
        Ok(Arc::new(make_text(ScalarBuffer::from(offsets), Buffer::from_vec(data), nulls)?))
    }
}

/// The arrays of a portion's rows with plain strings.
pub(super) fn plain_arrays(
    columns: Vec<Finished>,
    bytes: &[usize],
    rows: usize,
    make_text: MakeText,
) -> Result<Vec<ArrayRef>, ArrowError> {
    // Most tables have several columns that nobody uses: all of them are one array.
    let mut null: Option<ArrayRef> = None;
    let arrays = columns.into_iter().zip(bytes).map(|(column, &bytes)| {
        if column.is_null() {
            let null = null.get_or_insert_with(|| Arc::new(StringArray::new_null(rows)));
            return Ok(Arc::clone(null));
        }
        column.into_plain(bytes, make_text)
    });
    arrays.collect()
}

/// The texts of keys, `bytes` in all, one after another.
fn plain_texts(keys: &[i32], values: &Distinct, bytes: usize, offsets: &mut Vec<i32>) -> Vec<u8> {
    let mut data = Vec::with_capacity(bytes + BLOCK);
    let (texts, ends) = values.parts();
    offsets.extend(keys.iter().map(|&key| {
        if key != NULL_KEY {
            let (start, end) = (ends[key as usize] as usize, ends[key as usize + 1] as usize);
            if end - start <= BLOCK && start + BLOCK <= texts.len() {
                let len = data.len() + end - start;
                data.extend_from_slice(block_of(texts, start));
                data.truncate(len);
            } else {
                data.extend_from_slice(&texts[start..end]);
            }
        }
        data.len() as i32
    }));
    data
}

/// Appends `rows` rows of one text.
fn push_repeated(data: &mut Vec<u8>, offsets: &mut Vec<i32>, text: &[u8], rows: usize) {
    if rows == 0 {
        return;
    }
    let (start, bytes) = (data.len(), text.len() * rows);
    data.extend_from_slice(text);
    // What is there already doubles until all rows have it.
    while data.len() - start < bytes {
        let copied = data.len() - start;
        data.extend_from_within(start..start + copied.min(bytes - copied));
    }
    // Within Arrow's offsets, so nothing wraps; checked sums would not become vector code.
    let (first, len) = ((start + text.len()) as i32, text.len() as i32);
    offsets.extend((0..rows as i32).map(|row| first.wrapping_add(row.wrapping_mul(len))));
}

fn run_nulls<'a>(runs: impl Iterator<Item = (Option<&'a [u8]>, usize)>) -> NullBuffer {
    let mut valid = BooleanBufferBuilder::new(0);
    runs.for_each(|(text, rows)| valid.append_n(rows, text.is_some()));
    NullBuffer::new(valid.finish())
}

/// Ranges of rows in which no dictionary column takes more than `limit` bytes when plain.
pub(super) fn split_rows(arrays: &[ArrayRef], rows: usize, limit: usize) -> Vec<Range<usize>> {
    let mut cuts = vec![0, rows];
    for array in arrays {
        let Some((array, values)) = dictionary(array) else { continue };
        let mut bytes = 0;
        for row in 0..rows {
            let len = array.key(row).map_or(0, |key| values.value(key).len());
            if bytes + len > limit && bytes > 0 {
                cuts.push(row);
                bytes = 0;
            }
            bytes += len;
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

pub(super) fn dictionary(array: &ArrayRef) -> Option<(&DictionaryArray<Int32Type>, &StringArray)> {
    let array = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
    Some((array, array.values().as_any().downcast_ref()?))
}

/// A slice of an array, with plain strings where it has a dictionary.
pub(super) fn slice_plain(array: &ArrayRef, range: Range<usize>) -> ArrayRef {
    let slice = array.slice(range.start, range.len());
    let Some((array, values)) = dictionary(&slice) else { return slice };
    let texts = (0..array.len()).map(|row| array.key(row).map(|key| values.value(key)));
    Arc::new(StringArray::from_iter(texts))
}
