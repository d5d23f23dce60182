//! Dictionary arrays written out as plain strings, within Arrow's 32-bit offsets.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

/// A plain string column of one batch holds at most this much text (and at least one row).
const MAX_COLUMN_BYTES: usize = 1 << 30;

fn texts(array: &DictionaryArray<Int32Type>) -> Result<&StringArray, ArrowError> {
    array
        .values()
        .as_any()
        .downcast_ref::<StringArray>()
        .ok_or_else(|| ArrowError::CastError("found a dictionary of another type than text".to_owned()))
}

/// Calls `f` with each run of equal keys: the text (`None` is null) and the number of rows.
fn each_run<'a>(
    array: &'a DictionaryArray<Int32Type>,
    range: Range<usize>,
    mut f: impl FnMut(Option<&'a [u8]>, usize),
) -> Result<(), ArrowError> {
    let values = texts(array)?;
    let keys = array.keys().values();
    let nulls = array.nulls();
    let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    let mut row = range.start;
    while row < range.end {
        let (key, null) = (keys[row], is_null(row));
        let mut end = row + 1;
        while end < range.end && keys[end] == key && is_null(end) == null {
            end += 1;
        }
        f((!null).then(|| values.value(key as usize).as_bytes()), end - row);
        row = end;
    }
    Ok(())
}

/// Rows `range` of a dictionary column as a plain string column.
pub(crate) fn expand(array: &DictionaryArray<Int32Type>, range: Range<usize>) -> Result<ArrayRef, ArrowError> {
    let mut total = 0_usize;
    each_run(array, range.clone(), |text, rows| total += text.map_or(0, <[u8]>::len) * rows)?;
    let mut data: Vec<u8> = Vec::with_capacity(total);
    let mut offsets: Vec<i32> = Vec::with_capacity(range.len() + 1);
    offsets.push(0);
    each_run(array, range.clone(), |text, rows| {
        let text = text.unwrap_or_default();
        for _ in 0..rows {
            data.extend_from_slice(text);
            offsets.push(data.len() as i32);
        }
    })?;
    let nulls = array.nulls().map(|nulls| nulls.slice(range.start, range.len()));
    let nulls: Option<NullBuffer> = nulls.filter(|nulls| nulls.null_count() > 0);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(data), nulls)?))
}

/// Ranges of rows in which no dictionary column takes more than `MAX_COLUMN_BYTES` when plain.
///
/// One range in all but contrived cases: a large resource value on very many records.
pub(crate) fn split_rows(arrays: &[ArrayRef], rows: usize) -> Vec<Range<usize>> {
    let mut cuts = vec![0, rows];
    for array in arrays {
        let Some(array) = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>() else { continue };
        let (mut row, mut bytes) = (0, 0);
        let result = each_run(array, 0..rows, |text, run| {
            let len = text.map_or(0, <[u8]>::len);
            if bytes + len * run > MAX_COLUMN_BYTES {
                for _ in 0..run {
                    if bytes + len > MAX_COLUMN_BYTES && bytes > 0 {
                        cuts.push(row);
                        bytes = 0;
                    }
                    bytes += len;
                    row += 1;
                }
            } else {
                bytes += len * run;
                row += run;
            }
        });
        debug_assert!(result.is_ok());
    }
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}
