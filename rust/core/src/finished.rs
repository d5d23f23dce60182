//! Columns that grow no more, on their way to Arrow arrays: dictionaries or plain strings.
//!
//! Columns of few different texts arrive as keys or as runs of keys. A Parquet writer in the
//! same process takes them as dictionary arrays; the tables' contract says plain strings.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use crate::blocks::{BLOCK, block_of};
use crate::columns::nulls_where;
use crate::dictionary::Distinct;
use crate::repeated::Runs;
use crate::schema::Strings;

/// Makes a text array of offsets that never fall, within text that is valid UTF-8 and cut
/// between characters. All that is so by construction: who trusts it need not look again.
pub type MakeText =
    fn(ScalarBuffer<i32>, Buffer, Option<NullBuffer>) -> Result<StringArray, ArrowError>;

/// The `MakeText` that looks again.
///
/// # Errors
/// None that an input can cause.
pub fn make_checked_text(
    offsets: ScalarBuffer<i32>,
    text: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<StringArray, ArrowError> {
    StringArray::try_new(OffsetBuffer::new(offsets), text, nulls)
}

/// A plain string column of one batch holds at most this much text (or a single row).
const MAX_COLUMN_BYTES: usize = 1 << 30;

/// A row with this for its key is null.
pub(crate) const NULL_KEY: i32 = -1;

/// One finished column.
pub(crate) enum Finished {
    /// Ready as it is.
    Array(ArrayRef),
    /// A key or `NULL_KEY` per row.
    Keys { keys: Vec<i32>, values: Distinct },
    /// One of several columns that share their runs.
    Runs { runs: Rc<Runs>, column: usize },
}

impl Finished {
    /// The array of a column that has no dictionary, or the dictionary array of one that has.
    pub fn into_array(self, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
        let (mut keys, values) = match self {
            Self::Array(array) => return Ok(array),
            Self::Keys { keys, values } => (keys, values),
            Self::Runs { runs, column } => {
                let (runs, values) = runs.keys(column);
                let mut keys = Vec::with_capacity(runs.iter().map(|run| run.1).sum());
                for (key, rows) in runs {
                    keys.resize(keys.len() + rows, key.unwrap_or(NULL_KEY));
                }
                (keys, values)
            }
        };
        let nulls = nulls_where(keys.len(), |row| keys[row] == NULL_KEY);
        if nulls.is_some() {
            // What a null row's key is counts for nothing, but it must be one.
            keys.iter_mut().for_each(|key| *key = (*key).max(0));
        }
        let keys = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(keys), nulls)?;
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values.into_array(make_text)?))?))
    }

    /// Bytes of text when every row has its own.
    fn plain_bytes(&self) -> usize {
        match self {
            Self::Array(_) => 0,
            Self::Keys { keys, values } => {
                keys.iter().map(|&key| values.get(key).map_or(0, <[u8]>::len)).sum()
            }
            Self::Runs { runs, column } => {
                runs.texts(*column).map(|(text, rows)| text.map_or(0, <[u8]>::len) * rows).sum()
            }
        }
    }

    /// Whether every row is null.
    fn is_null(&self) -> bool {
        match self {
            Self::Array(_) => false,
            // There is no text that a key could name.
            Self::Keys { values, .. } => values.len() == 0,
            Self::Runs { runs, column } => runs.texts(*column).all(|(text, _)| text.is_none()),
        }
    }

    /// The array with plain strings; their bytes must be within Arrow's offsets.
    fn into_plain_array(self, bytes: usize, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
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
            Self::Keys { keys, mut values } => {
                let mut offsets = Vec::with_capacity(keys.len() + 1);
                offsets.push(0);
                match values.get(keys.first().copied().unwrap_or(NULL_KEY)) {
                    Some(text) if keys.iter().all(|key| *key == keys[0]) => {
                        let mut data = Vec::with_capacity(bytes);
                        push_repeated(&mut data, &mut offsets, text, keys.len());
                        (data, offsets, None)
                    }
                    _ => {
                        let data = plain_texts(&keys, &mut values, bytes, &mut offsets);
                        (data, offsets, nulls_where(keys.len(), |row| keys[row] == NULL_KEY))
                    }
                }
            }
        };
        Ok(Arc::new(make_text(ScalarBuffer::from(offsets), Buffer::from_vec(data), nulls)?))
    }
}

/// The texts of keys, `bytes` in all, one after another.
fn plain_texts(
    keys: &[i32],
    values: &mut Distinct,
    bytes: usize,
    offsets: &mut Vec<i32>,
) -> Vec<u8> {
    let mut data = Vec::with_capacity(bytes + BLOCK);
    // So that any text can be copied as a block.
    let (texts, ends) = values.padded(BLOCK);
    offsets.extend(keys.iter().map(|&key| {
        if key != NULL_KEY {
            let (start, end) = (ends[key as usize] as usize, ends[key as usize + 1] as usize);
            if end - start <= BLOCK {
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

/// The arrays of a table's rows in the form asked for.
///
/// One set, but where a plain column would pass Arrow's 32-bit offsets (a large resource value
/// on very many records): then the rows are split into several.
pub(crate) fn present(
    columns: Vec<Finished>,
    rows: usize,
    strings: Strings,
    make_text: MakeText,
) -> Result<Vec<Vec<ArrayRef>>, ArrowError> {
    let dictionaries = |columns: Vec<Finished>| {
        columns.into_iter().map(|column| column.into_array(make_text)).collect::<Result<_, _>>()
    };
    if strings == Strings::Dictionary {
        return Ok(vec![dictionaries(columns)?]);
    }
    let bytes: Vec<usize> = columns.iter().map(Finished::plain_bytes).collect();
    if bytes.iter().all(|&bytes| bytes <= MAX_COLUMN_BYTES) {
        // Most tables have several columns that nobody uses: all of them are one array.
        let mut null: Option<ArrayRef> = None;
        let arrays = columns.into_iter().zip(bytes).map(|(column, bytes)| {
            if column.is_null() {
                let null = null.get_or_insert_with(|| Arc::new(StringArray::new_null(rows)));
                return Ok(Arc::clone(null));
            }
            column.into_plain_array(bytes, make_text)
        });
        return Ok(vec![arrays.collect::<Result<_, _>>()?]);
    }
    let arrays: Vec<ArrayRef> = dictionaries(columns)?;
    split_rows(&arrays, rows, MAX_COLUMN_BYTES)
        .into_iter()
        .map(|range| Ok(arrays.iter().map(|array| slice_plain(array, range.clone())).collect()))
        .collect()
}

/// Ranges of rows in which no dictionary column takes more than `limit` bytes when plain.
fn split_rows(arrays: &[ArrayRef], rows: usize, limit: usize) -> Vec<Range<usize>> {
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

fn dictionary(array: &ArrayRef) -> Option<(&DictionaryArray<Int32Type>, &StringArray)> {
    let array = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
    Some((array, array.values().as_any().downcast_ref()?))
}

/// A slice of an array, with plain strings where it has a dictionary.
fn slice_plain(array: &ArrayRef, range: Range<usize>) -> ArrayRef {
    let slice = array.slice(range.start, range.len());
    let Some((array, values)) = dictionary(&slice) else { return slice };
    let texts = (0..array.len()).map(|row| array.key(row).map(|key| values.value(key)));
    Arc::new(StringArray::from_iter(texts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Column;
    use crate::repeated::{Constant, Repeated};

    /// "ab" twice, null, a text longer than a block twice, "".
    fn column(long: &str) -> Finished {
        let mut columns = Repeated::new(&[false, true]);
        for (text, rows) in [(Some("ab"), 2), (None, 1), (Some(long), 2), (Some(""), 1)] {
            columns.set(&[Constant::Int(7), Constant::Text(text.map(str::as_bytes))]);
            for _ in 0..rows {
                columns.push();
            }
        }
        let mut out = Vec::new();
        columns.finish(make_checked_text, &mut out).unwrap();
        out.pop().unwrap()
    }

    fn expected(long: &str) -> Vec<Option<&str>> {
        vec![Some("ab"), Some("ab"), None, Some(long), Some(long), Some("")]
    }

    #[test]
    fn runs_expand_to_the_rows_they_name() {
        for long in ["cde", &"é".repeat(BLOCK)] {
            let bytes = column(long).plain_bytes();
            assert_eq!(bytes, 4 + 2 * long.len());
            let array = column(long).into_plain_array(bytes, make_checked_text).unwrap();
            assert_eq!(array.as_ref(), &StringArray::from(expected(long)) as &dyn Array);
        }
    }

    #[test]
    fn keys_expand_to_the_texts_they_name() {
        for long in ["cde", &"é".repeat(BLOCK)] {
            let mut values = Distinct::default();
            let keys = expected(long)
                .iter()
                .map(|text| text.map_or(NULL_KEY, |text| values.push(text.as_bytes())))
                .collect();
            let column = Finished::Keys { keys, values };
            let bytes = column.plain_bytes();
            let array = column.into_plain_array(bytes, make_checked_text).unwrap();
            assert_eq!(array.as_ref(), &StringArray::from(expected(long)) as &dyn Array);
        }
    }

    #[test]
    fn columns_without_a_single_text_are_null() {
        let keys = || Finished::Keys { keys: vec![NULL_KEY; 2], values: Distinct::default() };
        for strings in [Strings::Plain, Strings::Dictionary] {
            let arrays = present(vec![keys(), keys()], 2, strings, make_checked_text).unwrap();
            assert_eq!(arrays[0].iter().map(|array| array.null_count()).sum::<usize>(), 4);
        }
    }

    #[test]
    fn a_split_keeps_rows_and_their_order_within_the_limit() {
        let array = column("cde").into_array(make_checked_text).unwrap();
        let ranges = split_rows(std::slice::from_ref(&array), 6, 4);
        assert_eq!(ranges, [0..3, 3..4, 4..6]);
        let mut rows = Vec::new();
        for range in ranges {
            let part = slice_plain(&array, range);
            let part = part.as_any().downcast_ref::<StringArray>().unwrap();
            rows.extend(part.iter().map(|text| text.map(str::to_owned)));
        }
        let expected: Vec<_> = expected("cde").iter().map(|text| text.map(str::to_owned)).collect();
        assert_eq!(rows, expected);
    }
}
