//! Values that many rows share: rendered once, kept once, written as runs.
//!
//! A resource, scope or metric is the same for all its records, so a row stores nothing for it:
//! the columns of a `Repeated` share one list of runs and one dictionary, and a run names a key
//! (or a number) per column.

use std::rc::Rc;

use arrow_array::types::Int64Type;
use arrow_schema::ArrowError;

use super::Column;
use super::dictionary::{Dictionary, Distinct};
use super::finished::{Finished, NULL_KEY, Parts};
use super::portions::Portion;
use super::small::{Nulls, SmallWriter};
use super::uniform::{Uniform, shrink};

/// One rendered value of a repeated column.
#[derive(Clone, Copy)]
pub(crate) enum Constant<'a> {
    /// A text; `None` is null.
    Text(Option<&'a [u8]>),
    /// A number.
    Int(i64),
    /// What the column repeats now: a text of so many bytes, or null.
    Unchanged(usize),
}

impl Constant<'_> {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.map_or(0, <[u8]>::len),
            Self::Int(_) => 0,
            Self::Unchanged(bytes) => *bytes,
        }
    }
}

/// A text, null when empty.
pub(crate) fn or_null(text: &[u8]) -> Constant<'_> {
    Constant::Text((!text.is_empty()).then_some(text))
}

/// A run names this for a null text.
const NULL: i64 = -1;

#[derive(Clone, Copy)]
struct Run {
    /// The run's first row.
    start: u32,
    /// Which set of values in `Repeated::values` the rows have.
    set: u32,
}

/// Several columns whose values change together.
pub(crate) struct Repeated {
    /// Which columns are texts; the others are numbers.
    texts: &'static [bool],
    /// The texts of all columns.
    dictionary: Dictionary,
    runs: Vec<Run>,
    /// One key, number or `NULL` per column and set.
    values: Vec<i64>,
    /// A column of numbers while it is written, reused.
    numbers: Uniform<i64>,
    mark: Mark,
}

#[derive(Default)]
struct Mark {
    runs: usize,
    values: usize,
}

impl Repeated {
    /// Columns in order; `true` for text, `false` for numbers.
    pub fn new(texts: &'static [bool]) -> Self {
        Self {
            texts,
            dictionary: Dictionary::default(),
            runs: Vec::new(),
            values: Vec::new(),
            numbers: Uniform::default(),
            mark: Mark::default(),
        }
    }

    /// Sets the values of the rows from `row` on; gives the bytes that they would take in each.
    pub fn set(&mut self, row: usize, constants: &[Constant<'_>]) -> usize {
        debug_assert_eq!(constants.len(), self.texts.len());
        let width = self.texts.len();
        let start = self.values.len();
        let last = self.runs.last().map(|run| run.set as usize * width);
        debug_assert!(
            last.is_some() || !constants.iter().any(|one| matches!(one, Constant::Unchanged(_)))
        );
        for (column, constant) in constants.iter().enumerate() {
            self.values.push(match constant {
                Constant::Text(Some(text)) => {
                    // Rendered by us, so valid UTF-8.
                    self.dictionary.key(text).map_or(NULL, i64::from)
                }
                Constant::Int(value) => *value,
                Constant::Text(None) => NULL,
                Constant::Unchanged(_) => last.map_or(NULL, |last| self.values[last + column]),
            });
        }
        // One by one: the first mostly tells.
        let (before, now) = self.values.split_at(start);
        let is_last = |last| now.iter().zip(&before[last..]).all(|(one, other)| one == other);
        if last.is_some_and(is_last) {
            self.values.truncate(start);
        } else {
            // Rows and sets are counted by the bytes of payloads: below 2^31.
            self.runs.push(Run { start: row as u32, set: (start / width) as u32 });
        }
        constants.iter().map(Constant::text_bytes).sum()
    }

    /// The sets of a portion's rows: runs of the number of a set and of rows.
    fn runs_of(&self, portion: &Portion) -> Vec<(u32, usize)> {
        let mut runs: Vec<(u32, usize)> = Vec::new();
        for rows in &portion.ranges {
            let mut at = self.runs.partition_point(|run| run.start as usize <= rows.start);
            let mut start = rows.start;
            while start < rows.end && at > 0 {
                let end =
                    self.runs.get(at).map_or(rows.end, |next| rows.end.min(next.start as usize));
                let set = self.runs[at - 1].set;
                match runs.last_mut() {
                    Some(last) if last.0 == set => last.1 += end - start,
                    _ => runs.push((set, end - start)),
                }
                (start, at) = (end, at + 1);
            }
        }
        runs
    }
}

impl Column for Repeated {
    /// Values are set for rows that are kept: there is nothing to drop, but for a rollback.
    fn truncate(&mut self, rows: usize) {
        let kept = self.runs.partition_point(|run| (run.start as usize) < rows);
        self.runs.truncate(kept);
    }

    fn checkpoint(&mut self) {
        self.mark = Mark { runs: self.runs.len(), values: self.values.len() };
        self.dictionary.checkpoint();
    }

    fn rollback(&mut self) {
        self.runs.truncate(self.mark.runs);
        self.values.truncate(self.mark.values);
        self.dictionary.rollback();
    }

    fn num_bytes(&self) -> usize {
        self.dictionary.num_bytes() + self.values.len() * size_of::<i64>()
    }

    fn memory_bytes(&self) -> usize {
        self.dictionary.memory_bytes()
            + self.values.capacity() * size_of::<i64>()
            + self.runs.capacity() * size_of::<Run>()
    }

    fn shrink(&mut self) {
        self.dictionary.shrink();
        shrink(&mut self.values);
        shrink(&mut self.runs);
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        let mut columns = std::mem::replace(self, Self::new(self.texts));
        let texts = Rc::new(columns.dictionary.finish());
        let values = Rc::new(std::mem::take(&mut columns.values));
        let width = self.texts.len();
        for (at, portion) in portions.iter().enumerate() {
            let runs = Rc::new(Runs {
                rows: portion.rows(),
                runs: columns.runs_of(portion),
                values: Rc::clone(&values),
                width,
                texts: Rc::clone(&texts),
            });
            for (column, &is_text) in self.texts.iter().enumerate() {
                if is_text {
                    out.push(at, Finished::Runs { runs: Rc::clone(&runs), column });
                    continue;
                }
                let mut numbers = Uniform::default();
                for (number, rows) in runs.of(column) {
                    numbers.extend(number, rows);
                }
                out.push_numbers::<Int64Type>(at, numbers.take(), None)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, rows: usize, out: &mut SmallWriter) {
        let width = self.texts.len();
        for (column, &is_text) in self.texts.iter().enumerate() {
            let runs = self.runs.iter().enumerate().map(|(at, run)| {
                let end = self.runs.get(at + 1).map_or(rows, |next| next.start as usize);
                let value = self.values[run.set as usize * width + column];
                (value, end - run.start as usize)
            });
            if is_text {
                let text = |key| self.dictionary.get(i32::try_from(key).unwrap_or(NULL_KEY));
                out.push_runs(rows, runs.map(|(key, rows)| (text(key), rows)));
            } else {
                self.numbers.clear();
                runs.for_each(|(number, rows)| self.numbers.extend(number, rows));
                out.push_numbers::<Int64Type>(&self.numbers, Nulls::none());
            }
        }
        self.dictionary.clear();
        self.runs.clear();
        self.values.clear();
        self.mark = Mark::default();
    }
}

/// The columns of a `Repeated` that grow no more, for the rows of a portion.
pub(crate) struct Runs {
    /// Of all runs.
    pub rows: usize,
    runs: Vec<(u32, usize)>,
    values: Rc<Vec<i64>>,
    width: usize,
    texts: Rc<Distinct>,
}

impl Runs {
    /// The runs of one column: the value (or key), and how many rows have it. Where a set of
    /// values differs from the one before, most columns go on with the same: that is one run.
    fn of(&self, column: usize) -> impl Iterator<Item = (i64, usize)> + '_ {
        let value = move |&(set, rows): &(u32, usize)| {
            (self.values[set as usize * self.width + column], rows)
        };
        let mut runs = self.runs.iter().map(value).peekable();
        std::iter::from_fn(move || {
            let (value, mut rows) = runs.next()?;
            while let Some((_, more)) = runs.next_if(|(next, _)| *next == value) {
                rows += more;
            }
            Some((value, rows))
        })
    }

    /// Bytes of a text column when every row has its own.
    pub fn plain_bytes(&self, column: usize) -> usize {
        self.texts(column).map(|(text, rows)| text.map_or(0, <[u8]>::len) * rows).sum()
    }

    /// The runs of a text column: the text, and how many rows have it.
    pub fn texts(&self, column: usize) -> impl Iterator<Item = (Option<&[u8]>, usize)> + '_ {
        self.keys(column).map(|(key, rows)| (self.distinct().get(key), rows))
    }

    /// The runs of a text column: the key, and how many rows have it. What is no key is null.
    pub fn keys(&self, column: usize) -> impl Iterator<Item = (i32, usize)> + '_ {
        self.of(column).map(|(key, rows)| (i32::try_from(key).unwrap_or(NULL as i32), rows))
    }

    /// The texts of the keys.
    pub fn distinct(&self) -> &Distinct {
        &self.texts
    }
}
