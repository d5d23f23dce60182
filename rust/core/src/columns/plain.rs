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

use super::blocks::BLOCK;
use super::dictionary::Distinct;
use super::finished::{Finished, MakeText, NULL_KEY};
use super::numbers::nulls_where;
use super::uniform::Items;

/// A plain string column of one batch holds at most this much text (or a single row).
pub(super) const MAX_COLUMN_BYTES: usize = 1 << 30;

impl Finished {
    /// The array with plain strings; their bytes must be within Arrow's offsets.
    pub fn into_plain_array(self, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
        let (data, offsets, nulls) = match self {
            Self::Array(array) => return Ok(array),
            Self::Runs { runs, column } => {
                let mut data = Vec::with_capacity(runs.plain_bytes(column) + BLOCK);
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
                let text = values.get(key).unwrap_or_default();
                let mut data = Vec::with_capacity(text.len() * rows + BLOCK);
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                push_repeated(&mut data, &mut offsets, text, rows);
                let is_null = key == NULL_KEY && rows > 0;
                (data, offsets, is_null.then(|| NullBuffer::new_null(rows)))
            }
            Self::Keys { keys: Items::Values(keys), values } => {
                let (data, offsets) = plain_texts(&keys, &values);
                (data, offsets, nulls_where(keys.len(), |row| keys[row] == NULL_KEY))
            }
        };
        Ok(Arc::new(make_text(ScalarBuffer::from(offsets), Buffer::from_vec(data), nulls)?))
    }
}

/// The arrays of a portion's rows with plain strings.
pub(super) fn plain_arrays(
    columns: Vec<Finished>,
    rows: usize,
    make_text: MakeText,
) -> Result<Vec<ArrayRef>, ArrowError> {
    // Most tables have several columns that nobody uses: all of them are one array.
    let mut null: Option<ArrayRef> = None;
    let arrays = columns.into_iter().map(|column| {
        if column.is_null() {
            let null = null.get_or_insert_with(|| Arc::new(StringArray::new_null(rows)));
            return Ok(Arc::clone(null));
        }
        column.into_plain_array(make_text)
    });
    arrays.collect()
}

/// The texts of keys one after another, and where each begins and the last one ends.
fn plain_texts(keys: &[i32], values: &Distinct) -> (Vec<u8>, Vec<i32>) {
    let (texts, ends) = values.parts();
    let mut offsets = Vec::with_capacity(keys.len() + 1);
    offsets.push(0);
    let mut end = 0;
    offsets.extend(keys.iter().map(|&key| {
        if key != NULL_KEY {
            end += ends[key as usize + 1] - ends[key as usize];
        }
        end
    }));
    let mut data = vec![0; end as usize + BLOCK];
    for (&key, place) in keys.iter().zip(offsets.windows(2)) {
        let len = (place[1] - place[0]) as usize;
        let from = &texts[ends[key.max(0) as usize] as usize..];
        let to = &mut data[place[0] as usize..];
        match (from.first_chunk::<BLOCK>(), to.first_chunk_mut::<BLOCK>()) {
            // What is too much is written over by the next one.
            (Some(from), Some(to)) if len <= BLOCK => *to = *from,
            _ => to[..len].copy_from_slice(&from[..len]),
        }
    }
    data.truncate(end as usize);
    (data, offsets)
}

/// So many rows of one short text (a metric's points) are written one by one: to double what is
/// there costs more.
const FEW_ROWS: usize = 16;

/// Appends `rows` rows of one text.
fn push_repeated(data: &mut Vec<u8>, offsets: &mut Vec<i32>, text: &[u8], rows: usize) {
    if rows == 0 {
        return;
    }
    if rows <= FEW_ROWS && text.len() <= BLOCK {
        let mut block = [0; BLOCK];
        block[..text.len()].copy_from_slice(text);
        offsets.extend((0..rows).map(|_| {
            let len = data.len() + text.len();
            data.extend_from_slice(&block);
            data.truncate(len);
            len as i32
        }));
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
