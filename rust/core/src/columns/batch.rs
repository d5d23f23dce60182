//! The batches of a finish: for each table, service and hour a slice of its portion's arrays, made
//! when somebody asks for it.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};

use super::coded::Scratch;
use super::finished::{Finished, Parts};
use super::plain::{MAX_COLUMN_BYTES, plain_arrays, slice_plain, split_rows};
use super::portions::Portion;
use super::small::SmallTable;
use crate::schema::{Strings, Table};

/// A column that batches are cut from. (There are some forty of a portion: boxes would cost more.)
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Presented {
    /// As the tables' contract says.
    Array(ArrayRef),
    /// Keys of all rows, and for each group which of the texts its rows' keys name.
    Coded { keys: Int32Array, values: StringArray, texts: Vec<Range<usize>> },
}

impl Presented {
    /// The rows of a group.
    pub fn slice(&self, group: usize, rows: Range<usize>) -> Result<ArrayRef, ArrowError> {
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

impl Parts {
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
        let mut scratch = Scratch::new(is_one_group(portions));
        for (columns, portion) in self.portions.into_iter().zip(portions) {
            let (groups, rows) = (&portion.groups, portion.rows());
            let mut push = |columns: Arc<Vec<Presented>>, number: usize, rows: Range<usize>| {
                let (service, hour) = group(groups[number].0);
                let columns = Columns::Presented(columns);
                out.push(TableBatch { table, strings, service, hour, columns, number, rows });
            };
            if strings == Strings::Plain && columns.iter().all(Finished::fits_plain) {
                let arrays = plain_arrays(columns, rows, make_text)?;
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

/// Calls `f` with the number and the rows of each group of a portion.
pub(super) fn for_groups(groups: &[(u32, usize)], mut f: impl FnMut(usize, Range<usize>)) {
    let mut start = 0;
    for (number, &(_, end)) in groups.iter().enumerate() {
        f(number, start..end);
        start = end;
    }
}

/// Whether all rows are of one group: then its texts are all that there are.
fn is_one_group(portions: &[Portion]) -> bool {
    matches!(portions, [portion] if portion.groups.len() == 1)
}
