//! The open builders of one table: one set of columns per (service, hour).
//!
//! Grouping happens while appending, so a finish concatenates nothing and no file spans two
//! hours. Everything a request does to the groups can be undone until it is committed.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::columns::{Column, Texts};
use crate::finished::{MakeText, present};
use crate::schema::{Strings, Table};

/// The columns of one table.
pub(crate) trait Rows {
    fn new(table: Table) -> Self;
    /// The column of the rows' own attributes: as a rule the one with most text.
    fn attributes(&mut self) -> &mut Texts;
    /// Calls `f` with each column (or run of columns) in schema order.
    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Column));
}

/// One (table, service, hour): its columns and how many rows they hold.
pub(crate) struct Group<C> {
    pub columns: C,
    pub rows: usize,
    /// Names the resource and scope whose values the columns repeat now.
    pub shared_stamp: u64,
    /// Names the metric whose values the columns repeat now.
    pub metric_stamp: u64,
    service: Option<Arc<str>>,
    hour: i64,
    committed_rows: usize,
    committed_bytes: usize,
    committed_memory: usize,
    is_touched: bool,
}

/// What the Arrow arrays of a finished group take beside their buffers: some forty columns, each
/// with its array, its data and its counts. It matters where a batch has thousands of groups.
const ARRAYS_BYTES: usize = 4 << 10;

impl<C: Rows> Group<C> {
    /// Bytes as Arrow counts them, and bytes of memory.
    fn num_bytes(&mut self) -> (usize, usize) {
        let (mut bytes, mut spare) = (0, size_of::<Self>() + ARRAYS_BYTES);
        self.columns.each(&mut |column| {
            bytes += column.num_bytes();
            spare += column.spare_bytes();
        });
        (bytes, bytes + spare)
    }
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
    /// The rows, in the order in which they were appended.
    pub batch: RecordBatch,
}

/// Rows and bytes that a commit added, or that the groups hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub rows: usize,
    pub bytes: usize,
    pub memory: usize,
}

/// The groups of one table.
pub(crate) struct Groups<C> {
    table: Table,
    list: Vec<Group<C>>,
    index: HashTable<u32>,
    hasher: RandomState,
    touched: Vec<u32>,
    committed_groups: usize,
    /// Rows, and bytes of attributes, that a new group makes room for.
    expected: (usize, usize),
}

/// Room for more rows than this is not made on a sender's word.
const MAX_EXPECTED_ROWS: usize = 1 << 12;
/// Nor for more bytes of attributes.
const MAX_EXPECTED_BYTES: usize = 1 << 20;

impl<C: Rows> Groups<C> {
    pub fn new(table: Table) -> Self {
        Self {
            table,
            list: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            touched: Vec::new(),
            committed_groups: 0,
            expected: (0, 0),
        }
    }

    /// Says how many rows the next new group may get, and the bytes that they are read from.
    pub fn expect(&mut self, rows: usize, bytes: &[u8]) {
        // Attributes are most of a record, and nearly as long as JSON as on the wire.
        self.expected = (rows, bytes.len() / 4 * 3);
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[inline(always)]
    pub fn get(&mut self, group: usize) -> &mut Group<C> {
        &mut self.list[group]
    }

    fn hash(hasher: &RandomState, service: Option<&str>, hour: i64) -> u64 {
        hasher.hash_one((service, hour))
    }

    /// The group of a service and hour, opened if need be; `allowance` is how many more groups
    /// the request may touch, and `None` means that it is used up.
    pub fn find(
        &mut self,
        service: Option<&str>,
        hour: i64,
        allowance: &mut usize,
    ) -> Option<usize> {
        let hash = Self::hash(&self.hasher, service, hour);
        let list = &self.list;
        let is_it = |&i: &u32| {
            list[i as usize].hour == hour && list[i as usize].service.as_deref() == service
        };
        let at = match self.index.find(hash, is_it) {
            Some(&at) => at as usize,
            None => self.open(service, hour),
        };
        let group = &mut self.list[at];
        if !group.is_touched {
            *allowance = allowance.checked_sub(1)?;
            group.is_touched = true;
            group.columns.each(&mut |column| column.checkpoint());
            self.touched.push(at as u32);
        }
        Some(at)
    }

    #[cold]
    fn open(&mut self, service: Option<&str>, hour: i64) -> usize {
        let at = self.list.len();
        let mut columns = C::new(self.table);
        let (rows, bytes) = self.expected;
        // A scope's records go to one group as a rule; where they do not, the room shrinks.
        self.expected = (rows / 2, bytes / 2);
        columns.each(&mut |column| column.reserve(rows.min(MAX_EXPECTED_ROWS)));
        columns.attributes().data.spare(bytes.min(MAX_EXPECTED_BYTES));
        self.list.push(Group {
            columns,
            rows: 0,
            shared_stamp: 0,
            metric_stamp: 0,
            service: service.map(Arc::from),
            hour,
            committed_rows: 0,
            committed_bytes: 0,
            committed_memory: 0,
            is_touched: false,
        });
        self.enter(at);
        at
    }

    /// Makes a group findable.
    fn enter(&mut self, at: usize) {
        let (list, hasher) = (&self.list, &self.hasher);
        let hash = |&at: &u32| {
            let group = &list[at as usize];
            Self::hash(hasher, group.service.as_deref(), group.hour)
        };
        self.index.insert_unique(hash(&(at as u32)), at as u32, hash);
    }

    /// Keeps what the request appended, and says how much that was.
    pub fn commit(&mut self) -> Size {
        let mut added = Size::default();
        for at in self.touched.drain(..) {
            let group = &mut self.list[at as usize];
            let (bytes, memory) = group.num_bytes();
            added.rows += group.rows - group.committed_rows;
            // A rejected record may have left a dictionary entry; bytes never shrink in a batch.
            added.bytes += bytes.saturating_sub(group.committed_bytes);
            added.memory += memory.saturating_sub(group.committed_memory);
            group.committed_rows = group.rows;
            group.committed_bytes = bytes;
            group.committed_memory = memory.max(group.committed_memory);
            group.is_touched = false;
        }
        self.committed_groups = self.list.len();
        added
    }

    /// Undoes a half-written row, and what the group was made ready with for it: a rejected
    /// record leaves no trace.
    #[cold]
    pub fn drop_row(&mut self, at: usize, allowance: &mut usize) {
        let group = &mut self.list[at];
        let rows = group.rows;
        group.columns.each(&mut |column| column.truncate(rows));
        group.shared_stamp = 0;
        group.metric_stamp = 0;
        if rows == 0 {
            // Opened for this very record, so the last of the list.
            self.touched.pop();
            self.close_last();
            *allowance += 1;
        }
    }

    /// Removes the last group of the list.
    fn close_last(&mut self) {
        let at = self.list.len() - 1;
        let hash = Self::hash(&self.hasher, self.list[at].service.as_deref(), self.list[at].hour);
        if let Ok(entry) = self.index.find_entry(hash, |&i| i as usize == at) {
            entry.remove();
        }
        self.list.pop();
    }

    /// Undoes everything since the last commit.
    #[cold]
    pub fn rollback(&mut self) {
        for at in self.touched.drain(..) {
            let group = &mut self.list[at as usize];
            group.rows = group.committed_rows;
            group.columns.each(&mut |column| column.rollback());
            group.is_touched = false;
            group.shared_stamp = 0;
            group.metric_stamp = 0;
        }
        while self.list.len() > self.committed_groups {
            self.close_last();
        }
    }

    /// Turns the groups into Arrow batches and leaves none.
    pub fn finish(
        &mut self,
        strings: Strings,
        make_text: MakeText,
        out: &mut Vec<TableBatch>,
    ) -> Result<(), ArrowError> {
        self.index.clear();
        self.committed_groups = 0;
        for mut group in self.list.drain(..) {
            let schema = self.table.schema(strings);
            let mut columns = Vec::with_capacity(schema.fields().len());
            let mut result = Ok(());
            group.columns.each(&mut |column| {
                if result.is_ok() {
                    result = column.finish(make_text, &mut columns);
                }
            });
            result?;
            let Group { service, hour, rows, .. } = group;
            for arrays in present(columns, rows, strings, make_text)? {
                let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
                out.push(TableBatch { table: self.table, service: service.clone(), hour, batch });
            }
        }
        Ok(())
    }
}
