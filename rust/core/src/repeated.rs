//! Values that many rows share: rendered once, kept once, written as runs.
//!
//! A resource or scope is the same for all its records, so a row stores nothing for it: the
//! columns of a `Repeated` share one list of runs and one dictionary, and a run names a key (or
//! a number) per column.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::PrimitiveArray;
use arrow_array::types::Int64Type;
use arrow_schema::ArrowError;

use crate::columns::Column;
use crate::dictionary::{Dictionary, Distinct};
use crate::finished::{Finished, MakeText};

/// One rendered value of a repeated column.
#[derive(Clone, Copy)]
pub(crate) enum Constant<'a> {
    /// A text; `None` is null.
    Text(Option<&'a [u8]>),
    /// A number.
    Int(i64),
}

impl Constant<'_> {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.map_or(0, <[u8]>::len),
            Self::Int(_) => 0,
        }
    }
}

/// A text, null when empty.
pub(crate) fn or_null(text: &[u8]) -> Constant<'_> {
    Constant::Text((!text.is_empty()).then_some(text))
}

/// So many runs have room from the first one on.
const FEW_RUNS: usize = 4;

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
    /// Which columns are texts; the others are numbers.
    texts: &'static [bool],
    /// The texts of all columns.
    dictionary: Dictionary,
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
    pub fn new(texts: &'static [bool]) -> Self {
        Self {
            texts,
            dictionary: Dictionary::default(),
            runs: Vec::new(),
            values: Vec::new(),
            rows: 0,
            mark: Mark::default(),
            row_bytes: 0,
        }
    }

    /// Sets the values of the rows to come.
    pub fn set(&mut self, constants: &[Constant<'_>]) {
        debug_assert_eq!(constants.len(), self.texts.len());
        let start = self.values.len();
        self.row_bytes = constants.iter().map(Constant::text_bytes).sum();
        self.dictionary.mark();
        if self.runs.is_empty() {
            self.dictionary.reserve(self.row_bytes);
            self.values.reserve(FEW_RUNS * constants.len());
            self.runs.reserve(FEW_RUNS);
        }
        for constant in constants {
            self.values.push(match constant {
                Constant::Text(Some(text)) => {
                    // Rendered by us, so valid UTF-8.
                    self.dictionary.key(text).map_or(NULL, i64::from)
                }
                Constant::Int(value) => *value,
                Constant::Text(None) => NULL,
            });
        }
        let width = self.texts.len();
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
            self.dictionary.forget_since_mark();
        }
    }

    fn checkpoint(&mut self) {
        self.mark = Mark { rows: self.rows, runs: self.runs.len() };
        self.dictionary.checkpoint();
    }

    fn rollback(&mut self) {
        self.rows = self.mark.rows;
        self.runs.truncate(self.mark.runs);
        if let Some(run) = self.runs.last_mut() {
            run.end = self.rows;
            self.values.truncate(run.values + self.texts.len());
        } else {
            self.values.clear();
        }
        self.dictionary.rollback();
    }

    fn num_bytes(&self) -> usize {
        self.texts.len() * self.rows * size_of::<i32>() + self.dictionary.num_bytes()
    }

    fn spare_bytes(&self) -> usize {
        self.dictionary.spare_bytes()
    }

    fn finish(&mut self, _: MakeText, out: &mut Vec<Finished>) -> Result<(), ArrowError> {
        let runs = Rc::new(Runs {
            rows: self.rows,
            runs: std::mem::take(&mut self.runs),
            values: std::mem::take(&mut self.values),
            texts: self.dictionary.finish(),
        });
        for (column, &is_text) in self.texts.iter().enumerate() {
            out.push(if is_text {
                Finished::Runs { runs: Rc::clone(&runs), column }
            } else {
                let mut numbers = Vec::with_capacity(self.rows);
                runs.of(column).for_each(|(number, rows)| {
                    numbers.resize(numbers.len() + rows, number);
                });
                Finished::Array(Arc::new(PrimitiveArray::<Int64Type>::from(numbers)))
            });
        }
        Ok(())
    }

    fn reserve(&mut self, _: usize) {}
}

/// The columns of a `Repeated` that grow no more.
pub(crate) struct Runs {
    /// Of all runs.
    pub rows: usize,
    runs: Vec<Run>,
    values: Vec<i64>,
    texts: Distinct,
}

impl Runs {
    /// The runs of one column: the value (or key), and how many rows have it.
    fn of(&self, column: usize) -> impl Iterator<Item = (i64, usize)> + '_ {
        let mut start = 0;
        self.runs.iter().map(move |run| {
            (self.values[run.values + column], run.end - std::mem::replace(&mut start, run.end))
        })
    }

    /// The runs of a text column: the text, and how many rows have it.
    pub fn texts(&self, column: usize) -> impl Iterator<Item = (Option<&[u8]>, usize)> + '_ {
        // What is no key is `NULL`.
        self.of(column)
            .map(|(key, rows)| (i32::try_from(key).ok().and_then(|key| self.texts.get(key)), rows))
    }

    /// The runs of a text column with keys of its own, and the texts of those.
    pub fn keys(&self, column: usize) -> (Vec<(Option<i32>, usize)>, Distinct) {
        let mut own = vec![None; self.texts.len()];
        let mut texts = Distinct::default();
        let mut key_of = |key: i64| {
            let text = i32::try_from(key).ok().and_then(|key| self.texts.get(key))?;
            Some(*own[key as usize].get_or_insert_with(|| texts.push(text)))
        };
        let runs = self.of(column).map(|(key, rows)| (key_of(key), rows)).collect();
        (runs, texts)
    }
}
