//! Columns that grow no more, on their way to Arrow arrays: dictionaries or plain strings.
//!
//! Columns of few different texts arrive as keys or as runs of keys. A Parquet writer in the
//! same process takes them as dictionary arrays, each group's with a dictionary of its own; the
//! tables' contract says plain strings. A group's batch is a slice of its portion's arrays, made
//! when somebody asks for it.

use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, SchemaRef};

use super::blocks::{BLOCK, block_of};
use super::dictionary::Distinct;
use super::numbers::nulls_where;
use super::portions::Portion;
use super::repeated::Runs;
use super::small::SmallTable;
use super::uniform::{Items, Uniform};
use crate::schema::{Strings, Table};

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
    Keys { keys: Items<i32>, values: Rc<Distinct> },
    /// One of several columns that share their runs.
    Runs { runs: Rc<Runs>, column: usize },
}

/// The finished columns of each portion.
pub(crate) struct Parts {
    pub portions: Vec<Vec<Finished>>,
    pub make_text: MakeText,
    zeros: Zeros,
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

    /// Gives a batch for each group of each portion.
    pub fn present(
        self,
        table: Table,
        strings: Strings,
        portions: &[Portion],
        group: impl Fn(u32) -> (Option<Arc<str>>, i64),
        out: &mut Vec<TableBatch>,
    ) -> Result<(), ArrowError> {
        let (make_text, mut zeros) = (self.make_text, self.zeros);
        let mut scratch = Scratch { is_one_group: is_one_group(portions), ..Scratch::default() };
        for (columns, portion) in self.portions.into_iter().zip(portions) {
            let (groups, rows) = (&portion.groups, portion.rows());
            let mut push = |columns: Arc<Vec<Presented>>, number: usize, rows: Range<usize>| {
                let (service, hour) = group(groups[number].0);
                let columns = Columns::Presented(columns);
                out.push(TableBatch { table, strings, service, hour, columns, number, rows });
            };
            let bytes: Vec<usize> = columns.iter().map(Finished::plain_bytes).collect();
            if strings == Strings::Plain && bytes.iter().all(|&bytes| bytes <= MAX_COLUMN_BYTES) {
                let arrays = plain_arrays(columns, &bytes, rows, make_text)?;
                let columns = Arc::new(arrays.into_iter().map(Presented::Array).collect());
                for_groups(groups, |number, rows| push(Arc::clone(&columns), number, rows));
                continue;
            }
            let columns: Vec<Presented> = columns
                .into_iter()
                .enumerate()
                .map(|(at, column)| {
                    column.into_coded(groups, scratch.column(at), &mut zeros, make_text)
                })
                .collect::<Result<_, _>>()?;
            if strings == Strings::Dictionary {
                let columns = Arc::new(columns);
                for_groups(groups, |number, rows| push(Arc::clone(&columns), number, rows));
                continue;
            }
            // A large resource value on very many records: a plain column would pass Arrow's
            // 32-bit offsets, so the rows are split into several batches.
            let mut result = Ok(());
            for_groups(groups, |number, rows| {
                let arrays = columns.iter().map(|column| column.slice(number, rows.clone()));
                let arrays = match arrays.collect::<Result<Vec<_>, _>>() {
                    Ok(arrays) => arrays,
                    Err(error) => return result = Err(error),
                };
                for range in split_rows(&arrays, rows.len(), MAX_COLUMN_BYTES) {
                    let plain = |array| Presented::Array(slice_plain(array, range.clone()));
                    let columns = Arc::new(arrays.iter().map(plain).collect());
                    push(columns, number, 0..range.len());
                }
            });
            result?;
        }
        Ok(())
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

/// Calls `f` with the number and the rows of each group of a portion.
fn for_groups(groups: &[(u32, usize)], mut f: impl FnMut(usize, Range<usize>)) {
    let mut start = 0;
    for (number, &(_, end)) in groups.iter().enumerate() {
        f(number, start..end);
        start = end;
    }
}

/// A column that batches are cut from. (There are some forty of a portion: boxes would cost more.)
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
enum Presented {
    /// As the tables' contract says.
    Array(ArrayRef),
    /// Keys of all rows, and for each group which of the texts its rows' keys name.
    Coded { keys: Int32Array, values: StringArray, texts: Vec<Range<usize>> },
}

impl Presented {
    /// The rows of a group.
    fn slice(&self, group: usize, rows: Range<usize>) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Array(array) if rows.len() == array.len() => Ok(Arc::clone(array)),
            Self::Array(array) => Ok(array.slice(rows.start, rows.len())),
            Self::Coded { keys, values, texts } => {
                let texts = &texts[group];
                let keys = keys.slice(rows.start, rows.len());
                let values = values.slice(texts.start, texts.len());
                Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?))
            }
        }
    }
}

/// What batches are cut from.
#[derive(Debug, Clone)]
enum Columns {
    Presented(Arc<Vec<Presented>>),
    Small(Arc<SmallTable>),
}

/// A finished Arrow batch and where it belongs.
#[derive(Debug, Clone)]
pub struct TableBatch {
    /// The table whose schema the batch has.
    pub table: Table,
    /// The service, `None` where the resource names none.
    pub service: Option<Arc<str>>,
    /// Hours since the epoch, UTC: every row's `Timestamp` lies in this hour.
    pub hour: i64,
    strings: Strings,
    columns: Columns,
    /// Which group of its portion it is.
    number: usize,
    /// Its rows among those of the portion.
    rows: Range<usize>,
}

impl TableBatch {
    /// The rows of a group of a small table.
    pub(super) fn of_small(
        table: Table,
        (service, hour): (Option<Arc<str>>, i64),
        columns: Arc<SmallTable>,
        rows: Range<usize>,
    ) -> Self {
        let (strings, columns) = (Strings::Plain, Columns::Small(columns));
        Self { table, service, hour, strings, columns, number: 0, rows }
    }

    /// A batch of rows that a batch of a table gave before, in another process perhaps.
    ///
    /// # Errors
    /// The batch has not the schema of the table.
    pub fn restore(
        table: Table,
        service: Option<Arc<str>>,
        hour: i64,
        batch: &RecordBatch,
    ) -> Result<Self, ArrowError> {
        let forms = [Strings::Plain, Strings::Dictionary];
        let Some(strings) = forms.into_iter().find(|form| batch.schema() == table.schema(*form))
        else {
            let message = format!("found another schema than that of {}", table.name());
            return Err(ArrowError::SchemaError(message));
        };
        let arrays = batch.columns().iter().map(|array| Presented::Array(Arc::clone(array)));
        let columns = Columns::Presented(Arc::new(arrays.collect()));
        let rows = 0..batch.num_rows();
        Ok(Self { table, service, hour, strings, columns, number: 0, rows })
    }

    /// How many rows it has.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether it is of a small table.
    #[cfg(test)]
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.columns, Columns::Small(_))
    }

    /// The schema of `record_batch`.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.table.schema(self.strings)
    }

    /// The rows, in the order in which they were appended.
    ///
    /// # Errors
    /// None that an input can cause: Arrow's own checks of the columns built here.
    pub fn record_batch(&self) -> Result<RecordBatch, ArrowError> {
        let slice = |column: &Presented| column.slice(self.number, self.rows.clone());
        let arrays = match &self.columns {
            Columns::Presented(columns) => columns.iter().map(slice).collect::<Result<_, _>>()?,
            Columns::Small(table) => table.arrays(&self.rows)?,
        };
        RecordBatch::try_new(self.schema(), arrays)
    }
}

/// Whether all rows are of one group: then its texts are all that there are.
fn is_one_group(portions: &[Portion]) -> bool {
    matches!(portions, [portion] if portion.groups.len() == 1)
}

/// What is known of the texts of each column, from one portion to the next.
#[derive(Default)]
struct Scratch {
    is_one_group: bool,
    columns: Vec<Own>,
}

/// For each text of a column, the last group that had it and its key there; and where it was last
/// put among the portion's texts.
#[derive(Default)]
struct Own {
    is_one_group: bool,
    keys: Vec<OwnKey>,
    group: u32,
}

#[derive(Clone, Copy, Default)]
struct OwnKey {
    group: u32,
    key: i32,
    place: u32,
}

impl Scratch {
    fn column(&mut self, at: usize) -> &mut Own {
        while self.columns.len() <= at {
            self.columns.push(Own { is_one_group: self.is_one_group, ..Own::default() });
        }
        &mut self.columns[at]
    }
}

/// The keys and texts of groups, one after another, while they are made.
struct Coding<'a> {
    own: &'a mut Own,
    distinct: &'a Distinct,
    keys: Uniform<i32>,
    /// The keys of the texts of the group at hand, in order of appearance.
    group: Vec<i32>,
    /// The texts of the groups before, and their keys.
    values: Distinct,
    placed: Vec<i32>,
    texts: Vec<Range<usize>>,
}

impl<'a> Coding<'a> {
    fn new(own: &'a mut Own, distinct: &'a Distinct) -> Self {
        own.keys.resize(distinct.len(), OwnKey::default());
        Self {
            own,
            distinct,
            keys: Uniform::default(),
            group: Vec::new(),
            values: Distinct::default(),
            placed: Vec::new(),
            texts: Vec::new(),
        }
    }

    fn begin_group(&mut self) {
        self.own.group += 1;
        self.group.clear();
    }

    /// Appends `rows` rows with the text of a key.
    #[inline]
    fn push(&mut self, key: i32, rows: usize) {
        let Some(own) = self.own.keys.get_mut(key as usize) else {
            return self.keys.extend(NULL_KEY, rows);
        };
        if own.group != self.own.group {
            (own.group, own.key) = (self.own.group, self.group.len() as i32);
            self.group.push(key);
        }
        self.keys.extend(own.key, rows);
    }

    /// The texts of a group that has the same as one before (the same resource in another hour)
    /// are those of that one.
    fn end_group(&mut self) {
        let first = self.group.first().map_or(0, |&key| self.own.keys[key as usize].place as usize);
        let count = self.group.len();
        if self.placed.get(first..first + count) == Some(&self.group) {
            return self.texts.push(first..first + count);
        }
        let start = self.placed.len();
        for (at, &key) in self.group.iter().enumerate() {
            self.values.push(self.distinct.get(key).unwrap_or_default());
            self.own.keys[key as usize].place = (start + at) as u32;
        }
        self.placed.extend_from_slice(&self.group);
        self.texts.push(start..start + count);
    }

    fn finish(mut self, zeros: &mut Zeros, make_text: MakeText) -> Result<Presented, ArrowError> {
        let values = self.values.into_array(make_text)?;
        let keys = key_array(self.keys.take(), zeros)?;
        Ok(Presented::Coded { keys, values, texts: self.texts })
    }
}

/// Keys, of which `NULL_KEY` is null. What a null row's key is counts for nothing, but it must be
/// one.
fn key_array(keys: Items<i32>, zeros: &mut Zeros) -> Result<Int32Array, ArrowError> {
    let (keys, nulls) = match keys {
        Items::Alike(key @ ..=0, rows) => {
            let keys = ScalarBuffer::new(zeros.get(rows * size_of::<i32>()), 0, rows);
            (keys, (key == NULL_KEY && rows > 0).then(|| NullBuffer::new_null(rows)))
        }
        keys => {
            let mut keys = keys.into_vec();
            let nulls = nulls_where(keys.len(), |row| keys[row] == NULL_KEY);
            if nulls.is_some() {
                keys.iter_mut().for_each(|key| *key = (*key).max(0));
            }
            (ScalarBuffer::from(keys), nulls)
        }
    };
    PrimitiveArray::<Int32Type>::try_new(keys, nulls)
}

impl Finished {
    /// The array of a column that has no dictionary; or keys, and dictionaries for the groups.
    fn into_coded(
        self,
        groups: &[(u32, usize)],
        own: &mut Own,
        zeros: &mut Zeros,
        make_text: MakeText,
    ) -> Result<Presented, ArrowError> {
        match self {
            Self::Array(array) => Ok(Presented::Array(array)),
            Self::Keys { keys, values } => {
                if own.is_one_group {
                    let texts = vec![0..values.len()];
                    let values = Rc::unwrap_or_clone(values).into_array(make_text)?;
                    let keys = key_array(keys, zeros)?;
                    return Ok(Presented::Coded { keys, values, texts });
                }
                let mut coding = Coding::new(own, &values);
                for_groups(groups, |_, rows| {
                    coding.begin_group();
                    match &keys {
                        Items::Alike(key, _) => coding.push(*key, rows.len()),
                        Items::Values(keys) => {
                            keys[rows].iter().for_each(|&key| coding.push(key, 1));
                        }
                    }
                    coding.end_group();
                });
                coding.finish(zeros, make_text)
            }
            Self::Runs { runs, column } => {
                let mut coding = Coding::new(own, runs.distinct());
                let mut keys = runs.keys(column);
                let mut left = (NULL_KEY, 0);
                for_groups(groups, |_, rows| {
                    coding.begin_group();
                    let mut wanted = rows.len();
                    while wanted > 0 {
                        if left.1 == 0 {
                            let Some(next) = keys.next() else { break };
                            left = next;
                        }
                        let taken = wanted.min(left.1);
                        coding.push(left.0, taken);
                        left.1 -= taken;
                        wanted -= taken;
                    }
                    coding.end_group();
                });
                coding.finish(zeros, make_text)
            }
        }
    }

    /// Bytes of text when every row has its own.
    fn plain_bytes(&self) -> usize {
        match self {
            Self::Array(_) => 0,
            Self::Keys { keys: Items::Alike(key, rows), values } => {
                values.get(*key).map_or(0, <[u8]>::len) * rows
            }
            Self::Keys { keys: Items::Values(keys), values } => {
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
            Self::Array(_) | Self::Keys { keys: Items::Values(_), .. } => false,
            Self::Keys { keys: Items::Alike(key, _), .. } => *key == NULL_KEY,
            Self::Runs { runs, column } => runs.texts(*column).all(|(text, _)| text.is_none()),
        }
    }

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
fn plain_arrays(
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
        let arrays = plain_arrays(vec![column], &[0], 2, make_checked_text).unwrap();
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
