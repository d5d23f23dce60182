//! Text of many different values: ids, bodies, attribute lists.
//!
//! Text is kept in chunks: a column of hundreds of megabytes never has to be moved to grow, and has
//! no more room than a chunk that it does not use. The text of a row lies in one chunk.

use std::sync::Arc;

use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::Column;
use super::buffer::ByteBuffer;
use super::finished::{Finished, Parts};
use super::numbers::{Nulls, nulls_where};
use super::portions::Portion;
use super::small::{self, SmallWriter};
use super::uniform::{Items, Uniform};

/// A chunk with this much text is full.
pub(crate) const CHUNK: usize = 4 << 20;

/// More room than this is not made on a sender's word.
const MOST_EXPECTED: usize = 1 << 20;

pub(crate) struct Texts {
    /// The open chunk: rows' bytes one after another, valid UTF-8; a row may be half written at
    /// the end.
    pub data: ByteBuffer,
    /// Full chunks, in order.
    full: Vec<Vec<u8>>,
    /// Where each of those ends.
    ends: Vec<usize>,
    /// Bytes in those.
    before: usize,
    /// Where the rows' texts begin and the last one ends, counted over all chunks.
    offsets: Uniform<i32>,
    nulls: Nulls,
    /// Whether `nulls` counts for nothing and the rows without text are null.
    empty_is_null: bool,
    mark: usize,
}

impl Default for Texts {
    fn default() -> Self {
        let mut offsets = Uniform::default();
        offsets.push(0);
        Self {
            data: ByteBuffer::default(),
            full: Vec::new(),
            ends: Vec::new(),
            before: 0,
            offsets,
            nulls: Nulls::default(),
            empty_is_null: false,
            mark: 0,
        }
    }
}

impl Texts {
    /// Makes room for so much text, if there is none yet.
    pub fn expect(&mut self, bytes: usize) {
        self.data.expect(bytes.min(MOST_EXPECTED));
    }

    /// Ends the row whose bytes were pushed to `data`, of a column that has no null.
    #[inline(always)]
    pub fn end_row(&mut self) {
        self.end_text();
    }

    /// Ends the row whose bytes were pushed to `data`, of a column that is given nulls too.
    #[inline(always)]
    pub fn end_valid_row(&mut self) {
        self.nulls.push(true);
        self.end_text();
    }

    /// Ends the row; null if nothing was pushed for it, and so are all such rows of the column.
    #[inline(always)]
    pub fn end_row_or_null(&mut self) {
        self.empty_is_null = true;
        self.end_text();
    }

    #[inline(always)]
    pub fn push_null(&mut self) {
        self.nulls.push(false);
        self.end_text();
    }

    /// Appends `rows` rows of one text, to a column that has no null.
    pub fn extend<const LEN: usize>(&mut self, text: [u8; LEN], rows: usize) {
        let mut left = rows;
        while left > 0 {
            let rows = left.min(CHUNK.saturating_sub(self.data.len()) / LEN + 1);
            let bytes = self.data.spare(rows * LEN);
            bytes.as_chunks_mut::<LEN>().0.fill(text);
            let start = self.before + self.data.len();
            (1..rows).for_each(|row| self.offsets.push((start + row * LEN) as i32));
            self.data.advance(rows * LEN);
            self.end_text();
            left -= rows;
        }
    }

    #[inline(always)]
    fn end_text(&mut self) {
        // No wrap: `Limits::MAX_PAYLOAD_BYTES` and `FULL_COLUMN_BYTES` keep this below 2^31.
        self.offsets.push((self.before + self.data.len()) as i32);
        if self.data.len() >= CHUNK {
            self.close_chunk();
        }
    }

    #[cold]
    #[inline(never)]
    fn close_chunk(&mut self) {
        let bytes = self.data.take();
        self.before += bytes.len();
        self.full.push(bytes);
        self.ends.push(self.before);
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Appends the bytes from `start` to `end`, counted over all chunks.
    fn copy(&self, out: &mut Vec<u8>, start: usize, end: usize) {
        if self.full.is_empty() {
            return out.extend_from_slice(&self.data.as_slice()[start..end]);
        }
        let mut at = start;
        let mut number = self.ends.partition_point(|&end| end <= start);
        while at < end {
            let first = if number == 0 { 0 } else { self.ends[number - 1] };
            let chunk = self.full.get(number).map_or(self.data.as_slice(), Vec::as_slice);
            let to = end.min(first + chunk.len());
            out.extend_from_slice(&chunk[at - first..to - first]);
            (at, number) = (to, number + 1);
        }
    }

    /// All text in one piece; a chunk is given back as soon as it is copied.
    fn take_text(&mut self) -> Vec<u8> {
        if self.full.is_empty() {
            return self.data.take();
        }
        let mut text = Vec::with_capacity(self.before + self.data.len());
        for chunk in self.full.drain(..) {
            text.extend_from_slice(&chunk);
        }
        text.extend_from_slice(self.data.as_slice());
        self.data.take();
        text
    }

    fn push_part(
        &self,
        portion: usize,
        (offsets, text): (Items<i32>, Vec<u8>),
        nulls: Option<NullBuffer>,
        out: &mut Parts,
    ) -> Result<(), ArrowError> {
        let rows = offsets.len() - 1;
        let nulls = if !self.empty_is_null {
            nulls
        } else if let Items::Alike(..) = offsets {
            // No row has text.
            (rows > 0).then(|| NullBuffer::new_null(rows))
        } else {
            nulls_where(rows, |row| offsets.get(row) == offsets.get(row + 1))
        };
        let offsets = match offsets {
            Items::Alike(_, len) => ScalarBuffer::new(out.zeros(len * size_of::<i32>()), 0, len),
            Items::Values(values) => ScalarBuffer::from(values),
        };
        let array = (out.make_text)(offsets, Buffer::from_vec(text), nulls)?;
        out.push(portion, Finished::Array(Arc::new(array)));
        Ok(())
    }
}

impl Column for Texts {
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().map_or(0, |end| end as usize);
        while end < self.before {
            // The row that filled the last chunk goes, so this one is open again.
            let Some(chunk) = self.full.pop() else { break };
            self.ends.pop();
            self.before -= chunk.len();
            self.data = ByteBuffer::from(chunk);
        }
        self.data.truncate(end - self.before);
        self.nulls.truncate(rows);
    }

    fn checkpoint(&mut self) {
        self.mark = self.len();
    }

    fn rollback(&mut self) {
        self.truncate(self.mark);
    }

    fn num_bytes(&self) -> usize {
        self.before + self.data.len() + self.len() * size_of::<i32>()
    }

    fn memory_bytes(&self) -> usize {
        self.full.iter().map(Vec::capacity).sum::<usize>()
            + self.data.capacity()
            + self.offsets.memory_bytes()
            + self.nulls.memory_bytes()
    }

    fn shrink(&mut self) {
        self.data.shrink();
        self.offsets.shrink();
        self.nulls.shrink();
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        let mut column = std::mem::take(self);
        if Portion::are_whole(portions, column.len()) {
            let (offsets, text) = (column.offsets.take(), column.take_text());
            let nulls = column.nulls.take();
            return column.push_part(0, (offsets, text), nulls, out);
        }
        for (at, portion) in portions.iter().enumerate() {
            let part = column.gather(portion);
            column.push_part(at, part, column.nulls.gather(&portion.ranges), out)?;
        }
        Ok(())
    }

    fn write(&mut self, rows: usize, out: &mut SmallWriter) {
        // A small table's text is far below a chunk.
        debug_assert!(self.full.is_empty());
        let nulls = if !self.empty_is_null {
            self.nulls.write(out)
        } else if self.offsets.alike().is_some() {
            // No row has text.
            small::Nulls::all(rows)
        } else {
            let offsets = self.offsets.values();
            out.write_nulls(rows, |row| offsets[row] == offsets[row + 1])
        };
        out.push_texts(&self.offsets, self.data.as_slice(), nulls);
        self.data.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.nulls.clear();
        self.empty_is_null = false;
        self.mark = 0;
    }
}

impl Texts {
    /// The offsets and the text of a portion's rows.
    fn gather(&self, portion: &Portion) -> (Items<i32>, Vec<u8>) {
        let place = |row: usize| self.offsets.get(row) as usize;
        if self.offsets.alike().is_some() {
            return (Items::Alike(0, portion.rows() + 1), Vec::new());
        }
        let bytes = portion.ranges.iter().map(|rows| place(rows.end) - place(rows.start)).sum();
        let mut text = Vec::with_capacity(bytes);
        let mut offsets = Vec::with_capacity(portion.rows() + 1);
        offsets.push(0);
        for rows in &portion.ranges {
            let (start, end) = (place(rows.start), place(rows.end));
            let to = text.len() as i32 - start as i32;
            offsets.extend((rows.start + 1..=rows.end).map(|row| self.offsets.get(row) + to));
            self.copy(&mut text, start, end);
        }
        (Items::Values(offsets), text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finished::make_checked_text;
    use super::*;
    use arrow_array::{Array, StringArray};

    fn push(column: &mut Texts, text: &str) {
        column.data.extend_from_slice(text.as_bytes());
        column.end_row();
    }

    fn array(column: &mut Texts, ranges: Vec<std::ops::Range<usize>>) -> StringArray {
        let rows = ranges.iter().map(std::ops::Range::len).sum();
        let portions = [Portion { ranges, groups: vec![(0, rows)] }];
        let mut parts = Parts::new(1, make_checked_text);
        column.finish(&portions, &mut parts).unwrap();
        let array = parts.portions[0].pop().unwrap().into_plain_array(make_checked_text).unwrap();
        array.as_any().downcast_ref::<StringArray>().unwrap().clone()
    }

    /// Rows that fill three chunks and a part: long and short ones in turn.
    fn rows() -> Vec<String> {
        let long = |i: usize| char::from(b'a' + (i % 26) as u8).to_string().repeat(CHUNK / 7);
        (0..27).map(|i| if i % 3 == 2 { format!("{i}") } else { long(i) }).collect()
    }

    #[test]
    fn rows_of_several_chunks_are_those_that_were_pushed() {
        let rows = rows();
        let all = || {
            let mut column = Texts::default();
            rows.iter().for_each(|row| push(&mut column, row));
            assert!(column.full.len() >= 2);
            column
        };
        let expected: StringArray = rows.iter().map(Some).collect();
        assert_eq!(array(&mut all(), vec![0..27]), expected);
        let order: Vec<usize> = (13..27).chain(0..1).chain(5..12).collect();
        let expected: StringArray = order.iter().map(|&row| Some(&rows[row])).collect();
        assert_eq!(array(&mut all(), vec![13..27, 0..1, 5..12]), expected);
    }

    #[test]
    fn a_column_can_be_cut_back_into_any_chunk() {
        let rows = rows();
        for kept in [0, 1, 6, 11, 12, 18, 26, 27] {
            let mut column = Texts::default();
            rows[..kept].iter().for_each(|row| push(&mut column, row));
            column.checkpoint();
            rows.iter().for_each(|row| push(&mut column, row));
            column.data.extend_from_slice(b"half a row");
            column.rollback();
            column.shrink();
            assert!(column.memory_bytes() <= 2 * column.num_bytes() + 2 * CHUNK);
            rows[kept..].iter().for_each(|row| push(&mut column, row));
            let expected: StringArray = rows.iter().map(Some).collect();
            assert_eq!(array(&mut column, vec![0..27]), expected);
        }
    }
}
