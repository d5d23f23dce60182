//! Values that many rows share: rendered once, kept once, written as runs.
//!
//! A resource or scope is the same for all its records, so a row stores nothing for it: the
//! columns of a `Repeated` share one list of runs, and a run names one dictionary key (or one
//! number) per column.

use std::sync::Arc;

use arrow_array::PrimitiveArray;
use arrow_array::types::Int64Type;
use arrow_schema::ArrowError;

use crate::columns::Column;
use crate::dictionary::Dictionary;
use crate::finished::{Finished, MakeText};

/// One rendered value of a repeated column.
#[derive(Clone, Copy)]
pub(crate) enum Constant<'a> {
    /// A text; `None` is null.
    Text(Option<&'a [u8]>),
    /// A number.
    Int(i64),
}

/// A text, null when empty.
pub(crate) fn or_null(text: &[u8]) -> Constant<'_> {
    Constant::Text((!text.is_empty()).then_some(text))
}

/// A run names this for a null text.
const NULL: i64 = -1;

struct Run {
    /// The row after the run's last.
    end: usize,
    /// Where the run's values start in `Repeated::values`.
    values: usize,
}

/// Several columns whose values change together.
pub(crate) struct Repeated {
    /// A dictionary for each text column, none for a number column.
    columns: Vec<Option<Dictionary>>,
    runs: Vec<Run>,
    /// One key, number or `NULL` per column and run.
    values: Vec<i64>,
    rows: usize,
    mark: Mark,
    /// Bytes of one row's texts in the run that is open.
    row_bytes: usize,
}

#[derive(Default)]
struct Mark {
    rows: usize,
    runs: usize,
}

impl Repeated {
    /// Columns in order; `true` for text, `false` for numbers.
    pub fn new(texts: &[bool]) -> Self {
        Self {
            columns: texts.iter().map(|&text| text.then(Dictionary::default)).collect(),
            runs: Vec::new(),
            values: Vec::new(),
            rows: 0,
            mark: Mark::default(),
            row_bytes: 0,
        }
    }

    /// Sets the values of the rows to come.
    pub fn set(&mut self, constants: &[Constant<'_>]) {
        debug_assert_eq!(constants.len(), self.columns.len());
        let start = self.values.len();
        self.row_bytes = 0;
        self.columns.iter_mut().flatten().for_each(Dictionary::mark);
        for (column, constant) in self.columns.iter_mut().zip(constants) {
            self.values.push(match (column, constant) {
                (Some(dictionary), Constant::Text(Some(text))) => {
                    self.row_bytes += text.len();
                    // Rendered by us, so valid UTF-8.
                    dictionary.key(text).map_or(NULL, i64::from)
                }
                (_, Constant::Int(value)) => *value,
                (_, Constant::Text(_)) => NULL,
            });
        }
        let width = self.columns.len();
        let same = self
            .runs
            .last()
            .is_some_and(|run| self.values[run.values..run.values + width] == self.values[start..]);
        if same {
            self.values.truncate(start);
        } else {
            self.runs.push(Run { end: self.rows, values: start });
        }
    }

    /// Appends a row with the values last set; returns how many bytes they would take in it.
    #[inline(always)]
    pub fn push(&mut self) -> u64 {
        self.rows += 1;
        if let Some(run) = self.runs.last_mut() {
            run.end = self.rows;
        }
        self.row_bytes as u64
    }

    /// The runs of one column: its value, and the row after the run's last.
    fn runs(&self, column: usize) -> impl Iterator<Item = (i64, usize)> + '_ {
        self.runs.iter().map(move |run| (self.values[run.values + column], run.end))
    }
}

impl Column for Repeated {
    fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        let start = self.runs.len().checked_sub(2).map_or(0, |before| self.runs[before].end);
        let Some(run) = self.runs.last_mut() else { return };
        run.end = run.end.min(self.rows);
        if run.end == start {
            // The run was begun for a row that is not kept.
            self.values.truncate(run.values);
            self.runs.pop();
            self.columns.iter_mut().flatten().for_each(Dictionary::forget_since_mark);
        }
    }

    fn checkpoint(&mut self) {
        self.mark = Mark { rows: self.rows, runs: self.runs.len() };
        for dictionary in self.columns.iter_mut().flatten() {
            dictionary.checkpoint();
        }
    }

    fn rollback(&mut self) {
        self.rows = self.mark.rows;
        self.runs.truncate(self.mark.runs);
        if let Some(run) = self.runs.last_mut() {
            run.end = self.rows;
            self.values.truncate(run.values + self.columns.len());
        } else {
            self.values.clear();
        }
        for dictionary in self.columns.iter_mut().flatten() {
            dictionary.rollback();
        }
    }

    fn num_bytes(&self) -> usize {
        let keys = self.columns.len() * self.rows * size_of::<i32>();
        keys + self.columns.iter().flatten().map(Dictionary::num_bytes).sum::<usize>()
    }

    fn spare_bytes(&self) -> usize {
        self.columns.iter().flatten().map(Dictionary::spare_bytes).sum()
    }

    fn finish(&mut self, make_text: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        let mut columns = std::mem::take(&mut self.columns);
        for (i, column) in columns.iter_mut().enumerate() {
            out.push(match column {
                Some(dictionary) => Finished::Runs {
                    runs: self
                        .runs(i)
                        .map(|(key, end)| (i32::try_from(key).ok().filter(|&key| key >= 0), end))
                        .collect(),
                    values: dictionary.finish(make_text)?,
                },
                None => {
                    let mut numbers = Vec::with_capacity(self.rows);
                    self.runs(i).for_each(|(number, end)| numbers.resize(end, number));
                    Finished::Array(Arc::new(PrimitiveArray::<Int64Type>::from(numbers)))
                }
            });
        }
        Ok(())
    }

    fn reserve(&mut self, _: usize) {}
}
