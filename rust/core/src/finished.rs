//! Columns that grow no more, on their way to Arrow arrays: dictionaries or plain strings.
//!
//! Columns of few different texts arrive as keys or as runs of keys. A Parquet writer in the
//! same process takes them as dictionary arrays; the tables' contract says plain strings.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

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

/// One finished column.
pub(crate) enum Finished {
    /// Ready as it is.
    Array(ArrayRef),
    /// A key per row.
    Keys { keys: Vec<i32>, nulls: Option<NullBuffer>, values: StringArray },
    /// A key (`None` is null) per run, with the row after the run's last.
    Runs { runs: Vec<(Option<i32>, usize)>, values: StringArray },
}

fn text(values: &StringArray, key: Option<i32>) -> &[u8] {
    key.map_or(&[], |key| values.value(key as usize).as_bytes())
}

impl Finished {
    /// The array of a column that has no dictionary, or the dictionary array of one that has.
    pub fn into_array(self) -> Result<ArrayRef, ArrowError> {
        let (keys, nulls, values) = match self {
            Self::Array(array) => return Ok(array),
            Self::Keys { keys, nulls, values } => (keys, nulls, values),
            Self::Runs { runs, values } => {
                let mut keys = Vec::with_capacity(rows(&runs));
                runs.iter().for_each(|&(key, end)| keys.resize(end, key.unwrap_or(0)));
                (keys, run_nulls(&runs), values)
            }
        };
        let keys = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(keys), nulls)?;
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?))
    }

    /// Bytes of text when every row has its own.
    fn plain_bytes(&self) -> usize {
        match self {
            Self::Array(_) => 0,
            // Every row is null: there is no text that a key could name.
            Self::Keys { values, .. } if values.is_empty() => 0,
            Self::Keys { keys, nulls, values } => {
                let offsets = values.value_offsets();
                let len = |key: usize| (offsets[key + 1] - offsets[key]) as usize;
                match nulls {
                    None => keys.iter().map(|&key| len(key as usize)).sum(),
                    Some(nulls) => nulls.valid_indices().map(|row| len(keys[row] as usize)).sum(),
                }
            }
            Self::Runs { runs, values } => {
                let mut start = 0;
                runs.iter()
                    .map(|&(key, end)| {
                        text(values, key).len() * (end - std::mem::replace(&mut start, end))
                    })
                    .sum()
            }
        }
    }

    /// The array with plain strings; their bytes must be within Arrow's offsets.
    fn into_plain_array(self, bytes: usize, make_text: MakeText) -> Result<ArrayRef, ArrowError> {
        let (data, offsets, nulls) = match &self {
            Self::Array(_) => return self.into_array(),
            Self::Runs { runs, values } if runs.len() == 1 => {
                let (key, rows) = runs[0];
                return Ok(Arc::new(match key {
                    Some(key) => StringArray::new_repeated(values.value(key as usize), rows),
                    None => StringArray::new_null(rows),
                }));
            }
            Self::Runs { runs, values } => {
                let mut data = Vec::with_capacity(bytes);
                let mut offsets = Vec::with_capacity(rows(runs) + 1);
                offsets.push(0);
                for &(key, end) in runs {
                    let rows = end + 1 - offsets.len();
                    push_repeated(&mut data, &mut offsets, text(values, key), rows);
                }
                (data, offsets, run_nulls(runs))
            }
            Self::Keys { keys, values, .. } if values.is_empty() => {
                return Ok(Arc::new(StringArray::new_null(keys.len())));
            }
            Self::Keys { keys, nulls, values } => {
                let mut data = Vec::with_capacity(bytes);
                let mut offsets = Vec::with_capacity(keys.len() + 1);
                offsets.push(0);
                match nulls {
                    None => {
                        for run in keys.chunk_by(|a, b| a == b) {
                            let text = text(values, Some(run[0]));
                            push_repeated(&mut data, &mut offsets, text, run.len());
                        }
                    }
                    Some(nulls) => {
                        for (row, &key) in keys.iter().enumerate() {
                            let key = nulls.is_valid(row).then_some(key);
                            push_repeated(&mut data, &mut offsets, text(values, key), 1);
                        }
                    }
                }
                (data, offsets, nulls.clone())
            }
        };
        Ok(Arc::new(make_text(ScalarBuffer::from(offsets), Buffer::from_vec(data), nulls)?))
    }
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
    offsets.extend((1..=rows).map(|row| (start + row * text.len()) as i32));
}

fn rows(runs: &[(Option<i32>, usize)]) -> usize {
    runs.last().map_or(0, |run| run.1)
}

fn run_nulls(runs: &[(Option<i32>, usize)]) -> Option<NullBuffer> {
    if runs.iter().all(|run| run.0.is_some()) {
        return None;
    }
    let mut valid = Vec::with_capacity(rows(runs));
    runs.iter().for_each(|&(key, end)| valid.resize(end, key.is_some()));
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
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
    if strings == Strings::Dictionary {
        return Ok(vec![columns.into_iter().map(Finished::into_array).collect::<Result<_, _>>()?]);
    }
    let bytes: Vec<usize> = columns.iter().map(Finished::plain_bytes).collect();
    if bytes.iter().all(|&bytes| bytes <= MAX_COLUMN_BYTES) {
        let arrays = columns
            .into_iter()
            .zip(bytes)
            .map(|(column, bytes)| column.into_plain_array(bytes, make_text));
        return Ok(vec![arrays.collect::<Result<_, _>>()?]);
    }
    let arrays: Vec<ArrayRef> =
        columns.into_iter().map(Finished::into_array).collect::<Result<_, _>>()?;
    split_rows(&arrays, rows, MAX_COLUMN_BYTES)
        .into_iter()
        .map(|range| {
            arrays.iter().map(|array| slice_plain(array, range.clone(), make_text)).collect()
        })
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

fn slice_plain(
    array: &ArrayRef,
    range: Range<usize>,
    make_text: MakeText,
) -> Result<ArrayRef, ArrowError> {
    let slice = array.slice(range.start, range.len());
    let Some((array, values)) = dictionary(&slice) else { return Ok(slice) };
    let keys = Finished::Keys {
        keys: array.keys().values().to_vec(),
        nulls: array.nulls().cloned(),
        values: values.clone(),
    };
    let bytes = keys.plain_bytes();
    keys.into_plain_array(bytes, make_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column() -> Finished {
        let values = StringArray::from(vec!["", "ab", "cde"]);
        Finished::Runs { runs: vec![(Some(1), 2), (None, 3), (Some(2), 5), (Some(0), 6)], values }
    }

    fn expected() -> Vec<Option<&'static str>> {
        vec![Some("ab"), Some("ab"), None, Some("cde"), Some("cde"), Some("")]
    }

    #[test]
    fn runs_expand_to_the_rows_they_name() {
        let bytes = column().plain_bytes();
        assert_eq!(bytes, 10);
        let array = column().into_plain_array(bytes, make_checked_text).unwrap();
        assert_eq!(array.as_ref(), &StringArray::from(expected()) as &dyn Array);
    }

    #[test]
    fn keys_without_a_single_text_are_all_null() {
        let nulls = Some(NullBuffer::new_null(2));
        let column = Finished::Keys {
            keys: vec![0, 0],
            nulls,
            values: StringArray::from(Vec::<&str>::new()),
        };
        assert_eq!(column.plain_bytes(), 0);
        assert_eq!(column.into_plain_array(0, make_checked_text).unwrap().null_count(), 2);
    }

    #[test]
    fn a_split_keeps_rows_and_their_order_within_the_limit() {
        let array = column().into_array().unwrap();
        let ranges = split_rows(std::slice::from_ref(&array), 6, 4);
        assert_eq!(ranges, [0..3, 3..4, 4..6]);
        let mut rows = Vec::new();
        for range in ranges {
            let part = slice_plain(&array, range, make_checked_text).unwrap();
            let part = part.as_any().downcast_ref::<StringArray>().unwrap();
            rows.extend(part.iter().map(|text| text.map(str::to_owned)));
        }
        assert_eq!(
            rows,
            expected().into_iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        );
    }
}
