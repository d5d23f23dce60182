//! Text of few different values: names, kinds, severities. Stored once, keyed per row.

use std::rc::Rc;

use arrow_schema::ArrowError;

use super::Column;
use super::dictionary::Dictionary;
use super::finished::{Finished, NULL_KEY, Parts};
use super::portions::Portion;
use super::small::SmallWriter;
use super::uniform::Uniform;

pub(crate) struct Labels {
    dictionary: Dictionary,
    /// A key or `NULL_KEY` per row.
    keys: Uniform<i32>,
    /// The keys of texts that have a number beforehand, or `NULL_KEY`.
    numbered: [i32; NUMBERED],
    mark: usize,
}

const NUMBERED: usize = 8;

impl Default for Labels {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            keys: Uniform::default(),
            numbered: [NULL_KEY; NUMBERED],
            mark: 0,
        }
    }
}

impl Labels {
    #[inline]
    pub fn push_null(&mut self) {
        self.keys.push(NULL_KEY);
    }

    /// Appends the text that has this number in this column (always the same one) to `rows` rows.
    #[inline]
    pub fn push_numbered(&mut self, number: usize, text: &'static str, rows: usize) {
        match self.numbered.get(number) {
            Some(&key @ 0..) => self.keys.extend(key, rows),
            _ => self.push_first(number, text, rows),
        }
    }

    #[cold]
    fn push_first(&mut self, number: usize, text: &'static str, rows: usize) {
        let Some(key) = self.dictionary.key(text.as_bytes()) else { return };
        self.keys.extend(key, rows);
        if let Some(numbered) = self.numbered.get_mut(number) {
            *numbered = key;
        }
    }

    /// Appends a text, also an empty one; false (and nothing done) if it is not valid UTF-8.
    #[inline]
    pub fn push(&mut self, text: &[u8]) -> bool {
        self.push_rows(text, 1)
    }

    /// As `push`, to `rows` rows.
    #[inline]
    pub fn push_rows(&mut self, text: &[u8], rows: usize) -> bool {
        match self.dictionary.key(text) {
            Some(key) => {
                self.keys.extend(key, rows);
                true
            }
            None => false,
        }
    }
}

impl Column for Labels {
    fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.keys.len();
        self.dictionary.checkpoint();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
        self.dictionary.rollback();
        self.numbered = [NULL_KEY; NUMBERED];
    }

    fn num_bytes(&self) -> usize {
        self.dictionary.num_bytes() + self.keys.len() * size_of::<i32>()
    }

    fn memory_bytes(&self) -> usize {
        self.dictionary.memory_bytes() + self.keys.memory_bytes()
    }

    fn shrink(&mut self) {
        self.dictionary.shrink();
        self.keys.shrink();
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        let mut column = std::mem::take(self);
        let values = Rc::new(column.dictionary.finish());
        if Portion::are_whole(portions, column.keys.len()) {
            out.push(0, Finished::Keys { keys: column.keys.take(), values });
            return Ok(());
        }
        for (at, portion) in portions.iter().enumerate() {
            let keys = column.keys.gather(&portion.ranges);
            out.push(at, Finished::Keys { keys, values: Rc::clone(&values) });
        }
        Ok(())
    }

    fn write(&mut self, rows: usize, out: &mut SmallWriter) {
        let texts = &self.dictionary;
        match self.keys.alike() {
            Some(key) => out.push_runs(rows, std::iter::once((texts.get(key), rows))),
            None => out.push_runs(rows, self.keys.values().iter().map(|&key| (texts.get(key), 1))),
        }
        self.dictionary.clear();
        self.keys.clear();
        self.numbered = [NULL_KEY; NUMBERED];
        self.mark = 0;
    }
}
