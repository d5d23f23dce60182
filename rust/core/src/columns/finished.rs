//! Columns that grow no more, on their way to Arrow arrays.
//!
//! Columns of few different texts arrive as keys or as runs of keys. The tables' contract says plain
//! strings (`plain.rs`); a Parquet writer in the same process takes them as dictionary arrays, each
//! group's with a dictionary of its own (`coded.rs`). Batches are cut from either (`batch.rs`).

use std::rc::Rc;
use std::sync::LazyLock;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::dictionary::Distinct;
use super::plain::MAX_COLUMN_BYTES;
use super::repeated::Runs;
use super::uniform::Items;

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

/// A row with this for its key is null.
pub(crate) const NULL_KEY: i32 = -1;

/// One finished column.
pub(crate) enum Finished {
    /// Ready as it is.
    Array(ArrayRef),
    /// A key or `NULL_KEY` per row.
    Keys { keys: Items<i32>, values: Rc<Distinct> },
    /// One of several columns that share their runs.
    Runs { runs: Rc<Runs>, column: usize },
}

/// The finished columns of each portion.
pub(crate) struct Parts {
    pub portions: Vec<Vec<Finished>>,
    pub make_text: MakeText,
    pub(super) zeros: Zeros,
}

/// Bytes that are zero: shared by all columns that hold nothing else.
#[derive(Clone)]
pub(super) struct Zeros(Buffer);

impl Default for Zeros {
    fn default() -> Self {
        Self(ZEROS.clone())
    }
}

/// Zeros that are there already: as many as the columns of a small request need.
static ZEROS: LazyLock<Buffer> = LazyLock::new(|| Buffer::from_vec(vec![0_i64; 4096]));

impl Parts {
    pub fn new(portions: usize, make_text: MakeText) -> Self {
        let portions = std::iter::repeat_with(|| Vec::with_capacity(40)).take(portions).collect();
        Self { portions, make_text, zeros: Zeros::default() }
    }

    /// Another one, for the items of lists.
    pub fn beside(&self, portions: usize) -> Self {
        let portions = std::iter::repeat_with(Vec::new).take(portions).collect();
        Self { portions, make_text: self.make_text, zeros: self.zeros.clone() }
    }

    pub fn push(&mut self, portion: usize, column: Finished) {
        self.portions[portion].push(column);
    }

    /// So many bytes that are zero.
    pub fn zeros(&mut self, bytes: usize) -> Buffer {
        self.zeros.get(bytes)
    }
}

impl Zeros {
    pub fn get(&mut self, bytes: usize) -> Buffer {
        if self.0.len() < bytes {
            self.0 = Buffer::from_vec(vec![0_i64; bytes.div_ceil(size_of::<i64>())]);
        }
        self.0.slice_with_length(0, bytes)
    }
}

impl Finished {
    /// Bytes of text when every row has its own.
    pub fn plain_bytes(&self) -> usize {
        match self {
            Self::Array(_) => 0,
            Self::Keys { keys: Items::Alike(key, rows), values } => {
                values.get(*key).map_or(0, <[u8]>::len) * rows
            }
            Self::Keys { keys: Items::Values(keys), values } => {
                keys.iter().map(|&key| values.get(key).map_or(0, <[u8]>::len)).sum()
            }
            Self::Runs { runs, column } => runs.plain_bytes(*column),
        }
    }

    /// Whether one array of plain strings may have all rows' texts.
    pub fn fits_plain(&self) -> bool {
        let most = match self {
            // Nearly always they would fit if all were as long as all texts together.
            Self::Keys { keys: Items::Values(keys), values } => {
                keys.len().saturating_mul(values.num_bytes())
            }
            Self::Runs { runs, .. } => runs.rows.saturating_mul(runs.distinct().num_bytes()),
            Self::Array(_) | Self::Keys { .. } => usize::MAX,
        };
        most <= MAX_COLUMN_BYTES || self.plain_bytes() <= MAX_COLUMN_BYTES
    }

    /// Whether every row is null.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Array(_) | Self::Keys { keys: Items::Values(_), .. } => false,
            Self::Keys { keys: Items::Alike(key, _), .. } => *key == NULL_KEY,
            Self::Runs { runs, column } => runs.texts(*column).all(|(text, _)| text.is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;
    use crate::columns::batch::for_groups;
    use crate::columns::blocks::BLOCK;
    use crate::columns::coded::{Own, Scratch};
    use crate::columns::plain::{dictionary, plain_arrays, slice_plain, split_rows};
    use crate::columns::portions::Portion;
    use crate::columns::{Column, Constant, Labels, Repeated};

    /// "ab" twice, null, a text longer than a block twice, "".
    fn column(long: &str, portions: &[Portion]) -> Parts {
        let mut columns = Repeated::new(&[false, true]);
        let mut row = 0;
        for (text, rows) in [(Some("ab"), 2), (None, 1), (Some(long), 2), (Some(""), 1)] {
            columns.set(row, &[Constant::Int(7), Constant::Text(text.map(str::as_bytes))]);
            row += rows;
        }
        let mut parts = Parts::new(portions.len(), make_checked_text);
        columns.finish(portions, &mut parts).unwrap();
        parts
    }

    fn labels(texts: &[Option<&str>], portions: &[Portion]) -> Parts {
        let mut labels = Labels::default();
        for text in texts {
            match text {
                Some(text) => assert!(labels.push(text.as_bytes())),
                None => labels.push_null(),
            }
        }
        let mut parts = Parts::new(portions.len(), make_checked_text);
        labels.finish(portions, &mut parts).unwrap();
        parts
    }

    fn zeros() -> Zeros {
        Zeros(ZEROS.clone())
    }

    fn whole(rows: usize) -> Portion {
        Portion { ranges: vec![0..rows], groups: vec![(0, rows)] }
    }

    fn expected(long: &str) -> Vec<Option<&str>> {
        vec![Some("ab"), Some("ab"), None, Some(long), Some(long), Some("")]
    }

    #[test]
    fn runs_and_keys_expand_to_the_texts_they_name() {
        for long in ["cde", &"é".repeat(BLOCK)] {
            let texts = expected(long);
            for mut parts in [column(long, &[whole(6)]), labels(&texts, &[whole(6)])] {
                let column = parts.portions[0].pop().unwrap();
                assert_eq!(column.plain_bytes(), 4 + 2 * long.len());
                let array = column.into_plain_array(make_checked_text).unwrap();
                assert_eq!(array.as_ref(), &StringArray::from(texts.clone()) as &dyn Array);
            }
        }
    }

    #[test]
    fn many_rows_of_one_text_all_have_it() {
        for (text, rows) in [("ab", 1), ("ab", 16), ("ab", 17), ("", 40), ("é", 1000)] {
            let mut columns = Repeated::new(&[true]);
            columns.set(0, &[Constant::Text(Some(b"before"))]);
            columns.set(1, &[Constant::Text(Some(text.as_bytes()))]);
            let mut parts = Parts::new(1, make_checked_text);
            columns.finish(&[whole(rows + 1)], &mut parts).unwrap();
            let array = parts.portions[0].pop().unwrap().into_plain_array(make_checked_text);
            let expected: Vec<&str> = [vec!["before"], vec![text; rows]].concat();
            assert_eq!(array.unwrap().as_ref(), &StringArray::from(expected) as &dyn Array);
        }
    }

    #[test]
    fn rows_of_several_sets_with_one_value_are_one_run() {
        let mut columns = Repeated::new(&[true, true]);
        for (row, name) in ["a", "b", "c"].into_iter().enumerate() {
            let (name, unit) = (name.as_bytes(), b"ms".as_slice());
            columns.set(row, &[Constant::Text(Some(name)), Constant::Text(Some(unit))]);
        }
        let mut parts = Parts::new(1, make_checked_text);
        columns.finish(&[whole(3)], &mut parts).unwrap();
        let runs = parts.portions[0].iter().map(|column| match column {
            Finished::Runs { runs, column } => runs.keys(*column).map(|(_, rows)| rows).collect(),
            _ => Vec::new(),
        });
        assert_eq!(runs.collect::<Vec<_>>(), [vec![1, 1, 1], vec![3]]);
    }

    fn texts_of(array: &ArrayRef) -> Vec<Option<String>> {
        let array = slice_plain(array, 0..array.len());
        let array = array.as_any().downcast_ref::<StringArray>().unwrap();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn each_group_has_a_dictionary_of_its_own_texts() {
        let texts = expected("cde");
        // Three groups in two portions; the first portion's second group comes before its first.
        let portions = || {
            [
                Portion { ranges: vec![4..6, 0..1], groups: vec![(0, 2), (1, 3)] },
                Portion { ranges: vec![1..4], groups: vec![(2, 3)] },
            ]
        };
        for parts in [column("cde", &portions()), labels(&texts, &portions())] {
            let mut scratch = Scratch::default();
            let mut found = Vec::new();
            for (mut columns, portion) in parts.portions.into_iter().zip(portions()) {
                let column = columns.pop().unwrap();
                let column = column.into_coded(
                    &portion.groups,
                    scratch.column(0),
                    &mut zeros(),
                    make_checked_text,
                );
                let column = column.unwrap();
                for_groups(&portion.groups, |number, rows| {
                    let array = column.slice(number, rows).unwrap();
                    let (_, values) = dictionary(&array).unwrap();
                    let values: Vec<_> =
                        values.iter().map(|text| text.unwrap().to_owned()).collect();
                    found.push((texts_of(&array), values));
                });
            }
            let owned =
                |rows: &[usize]| rows.iter().map(|&row| texts[row].map(str::to_owned)).collect();
            assert_eq!(
                found,
                [
                    (owned(&[4, 5]), vec!["cde".to_owned(), String::new()]),
                    (owned(&[0]), vec!["ab".to_owned()]),
                    (owned(&[1, 2, 3]), vec!["ab".to_owned(), "cde".to_owned()]),
                ]
            );
        }
    }

    #[test]
    fn columns_without_a_single_text_are_null() {
        let none = [None, None];
        let mut parts = labels(&none, &[whole(2)]);
        let column = parts.portions[0].pop().unwrap();
        let arrays = plain_arrays(vec![column], 2, make_checked_text).unwrap();
        assert_eq!(arrays[0].null_count(), 2);
        let mut parts = labels(&none, &[whole(2)]);
        let column = parts.portions[0].pop().unwrap();
        let coded = column
            .into_coded(&[(0, 2)], &mut Own::default(), &mut zeros(), make_checked_text)
            .unwrap();
        assert_eq!(coded.slice(0, 0..2).unwrap().null_count(), 2);
    }

    #[test]
    fn a_split_keeps_rows_and_their_order_within_the_limit() {
        let mut parts = column("cde", &[whole(6)]);
        let column = parts.portions[0].pop().unwrap();
        let coded = column
            .into_coded(&[(0, 6)], &mut Own::default(), &mut zeros(), make_checked_text)
            .unwrap();
        let array = coded.slice(0, 0..6).unwrap();
        let ranges = split_rows(std::slice::from_ref(&array), 6, 4);
        assert_eq!(ranges, [0..3, 3..4, 4..6]);
        let rows: Vec<_> =
            ranges.into_iter().flat_map(|range| texts_of(&slice_plain(&array, range))).collect();
        let expected: Vec<_> = expected("cde").iter().map(|text| text.map(str::to_owned)).collect();
        assert_eq!(rows, expected);
    }
}
