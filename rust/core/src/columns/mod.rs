//! Growing Arrow columns, and the two ways back: a row that is not kept, a request that fails.
//!
//! Columns know rows and bytes and no OTLP. A table has one set of them, whatever the services and
//! hours of its rows: those are known by runs (`groups.rs`), and a finish brings the rows of each
//! together. `truncate` drops the rows past a count, also half-written ones, so that a reader may
//! render first and find out then; `checkpoint` and `rollback` undo everything since a request
//! began, dictionary entries included.
// A list of ranges of rows has one of them as a rule, and that one is meant.
#![allow(clippy::single_range_in_vec_init)]

mod batch;
mod blocks;
mod buffer;
mod coded;
mod dictionary;
mod finished;
mod groups;
mod labels;
mod lists;
mod numbers;
mod plain;
mod portions;
mod repeated;
mod small;
mod texts;
mod uniform;

use arrow_schema::ArrowError;

pub use batch::TableBatch;
pub(crate) use blocks::{BLOCK, block_at, block_of, copy_block};
pub(crate) use buffer::ByteBuffer;
pub(crate) use finished::Parts;
pub use finished::{MakeText, make_checked_text};
pub(crate) use groups::{Rows, Size, Used};
pub(crate) use labels::Labels;
pub(crate) use lists::Lists;
pub(crate) use numbers::{Booleans, Doubles, Instants, Int32s, Int64s, UTC};
pub(crate) use portions::Portion;
pub(crate) use repeated::{Constant, Repeated, or_null};
pub(crate) use small::SmallWriter;
pub(crate) use texts::{CHUNK, Texts};

/// What is common to the columns of a table.
pub(crate) trait Column {
    /// Drops the rows from `rows` on, and whatever was begun after them. There may be fewer: what
    /// rows have alike is appended after them.
    fn truncate(&mut self, rows: usize);
    /// Remembers the present state.
    fn checkpoint(&mut self);
    /// Returns to the state of the last `checkpoint`.
    fn rollback(&mut self);
    /// Bytes held, as Arrow would count them.
    fn num_bytes(&self) -> usize;
    /// Bytes of memory: what is held, and the room made for rows to come.
    fn memory_bytes(&self) -> usize;
    /// Gives back room that is far above what is in use.
    fn shrink(&mut self);
    /// Gives the finished columns (one for most), each portion's to its list; this one is empty
    /// afterwards.
    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError>;
    /// As `finish`, of a small table of so many rows; this one is empty afterwards, and keeps its
    /// room.
    fn write(&mut self, rows: usize, out: &mut SmallWriter);
}

/// Makes a struct of columns one column, of which a row is a row of each.
macro_rules! column_of {
    ($of:ident { $($part:ident),* $(,)? }) => {
        impl $crate::columns::Column for $of {
            fn truncate(&mut self, rows: usize) {
                $(self.$part.truncate(rows);)*
            }

            fn checkpoint(&mut self) {
                $(self.$part.checkpoint();)*
            }

            fn rollback(&mut self) {
                $(self.$part.rollback();)*
            }

            fn num_bytes(&self) -> usize {
                0 $(+ self.$part.num_bytes())*
            }

            fn memory_bytes(&self) -> usize {
                0 $(+ self.$part.memory_bytes())*
            }

            fn shrink(&mut self) {
                $(self.$part.shrink();)*
            }

            fn finish(
                &mut self,
                portions: &[$crate::columns::Portion],
                out: &mut $crate::columns::Parts,
            ) -> Result<(), arrow_schema::ArrowError> {
                $(self.$part.finish(portions, out)?;)*
                Ok(())
            }

            fn write(&mut self, rows: usize, out: &mut $crate::columns::SmallWriter) {
                $(self.$part.write(rows, out);)*
            }
        }
    };
}
pub(crate) use column_of;

impl<C: Column> Column for Option<C> {
    fn truncate(&mut self, rows: usize) {
        self.iter_mut().for_each(|column| column.truncate(rows));
    }

    fn checkpoint(&mut self) {
        self.iter_mut().for_each(C::checkpoint);
    }

    fn rollback(&mut self) {
        self.iter_mut().for_each(C::rollback);
    }

    fn num_bytes(&self) -> usize {
        self.as_ref().map_or(0, C::num_bytes)
    }

    fn memory_bytes(&self) -> usize {
        self.as_ref().map_or(0, C::memory_bytes)
    }

    fn shrink(&mut self) {
        self.iter_mut().for_each(C::shrink);
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        self.iter_mut().try_for_each(|column| column.finish(portions, out))
    }

    fn write(&mut self, rows: usize, out: &mut SmallWriter) {
        self.iter_mut().for_each(|column| column.write(rows, out));
    }
}
