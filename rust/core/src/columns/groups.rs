//! The rows of one table, and which service and hour each belongs to.
//!
//! There is one set of columns, and a list of runs says whose the rows are: a request's rows are
//! those of one service after another as a rule. So a group costs a name and a number until a
//! finish, which brings the rows of each together; where they are together already (one request)
//! nothing is copied. Everything that a request does can be undone until it is committed.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_schema::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Column;
use super::batch::TableBatch;
use super::finished::{MakeText, Parts};
use super::portions::Portion;
use super::small::{KEPT_BYTES, SMALL_BYTES, SMALL_ROWS, SmallWriter};
use super::uniform::shrink;
use crate::schema::{Strings, Table};

/// The rows of one table.
pub(crate) struct Rows<C> {
    table: Table,
    pub columns: C,
    len: usize,
    runs: Vec<Run>,
    groups: Vec<Group>,
    index: HashTable<u32>,
    hasher: RandomState,
    /// Tells requests apart; a group that a request has touched carries its number.
    request: u32,
    /// Bytes that all groups hold of resources, scopes and metrics.
    held: usize,
    committed: Committed,
    /// Whether the request being appended had these rows in hand.
    is_touched: bool,
    /// Name the resource, scope and metric whose values the columns repeat now; 0 is none.
    pub stamps: Stamps,
}

/// The rows of a table, made when there are any: most requests fill one or two of seven tables.
pub(crate) struct Used<C>(Option<Box<Rows<C>>>);

impl<C> Default for Used<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: Column> Used<C> {
    /// The rows, with these columns at first.
    #[inline]
    pub fn rows(&mut self, table: Table, columns: impl FnOnce() -> C) -> &mut Rows<C> {
        let rows = self.0.get_or_insert_with(|| Box::new(Rows::new(table, columns())));
        rows.is_touched = true;
        rows
    }

    pub fn num_groups(&self) -> usize {
        self.0.as_ref().map_or(0, |rows| rows.num_groups())
    }

    /// Bytes of memory that the rows take, and the room that is kept for rows to come, as they
    /// were after the last request or finish.
    pub fn memory_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |rows| rows.committed.memory)
    }

    pub fn commit(&mut self) -> Size {
        self.0.as_mut().map_or(Size::default(), |rows| rows.commit())
    }

    pub fn rollback(&mut self) {
        self.0.iter_mut().for_each(|rows| rows.rollback());
    }

    pub fn finish(
        &mut self,
        strings: Strings,
        make_text: MakeText,
        out: &mut Vec<TableBatch>,
    ) -> Result<(), ArrowError> {
        let Some(rows) = &mut self.0 else { return Ok(()) };
        if strings == Strings::Plain && rows.is_small() {
            rows.write(make_text, out);
            if rows.committed.memory > KEPT_BYTES {
                self.0 = None;
            }
            return Ok(());
        }
        rows.finish(strings, make_text, out)
    }

    /// As `finish` with plain strings, where even a small table goes the way of all others.
    #[cfg(test)]
    pub fn finish_ordinary(&mut self, out: &mut Vec<TableBatch>) {
        if let Some(rows) = &mut self.0 {
            let make_text = super::finished::make_checked_text;
            rows.finish(Strings::Plain, make_text, out).unwrap();
        }
    }
}

/// Which resource, scope and metric the columns repeat, and the bytes of those in a row.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stamps {
    pub resource: u64,
    pub scope: u64,
    pub metric: u64,
    /// Name the texts of the metric, which one metric after another may have alike.
    pub metric_texts: [u64; 4],
    pub resource_bytes: usize,
    pub scope_bytes: usize,
    pub metric_bytes: usize,
}

impl Stamps {
    /// Bytes that resource, scope and metric would take in each row.
    #[inline(always)]
    pub fn bytes(&self) -> u64 {
        (self.resource_bytes + self.scope_bytes + self.metric_bytes) as u64
    }
}

struct Run {
    group: u32,
    /// The row after the run's last.
    end: u32,
}

struct Group {
    service: Option<Arc<str>>,
    hour: i64,
    /// The resource, scope and metric that its last row repeats.
    stamps: [u64; 3],
    /// Bytes of the resources, scopes and metrics that its rows repeat: a batch has its own copy.
    held: usize,
    /// The last request that had rows for it.
    request: u32,
    /// Rows, counted when they are finished.
    rows: u32,
}

/// What the rows were when the last request had been taken.
#[derive(Default)]
struct Committed {
    len: usize,
    runs: usize,
    /// Where the last run ended.
    last_end: u32,
    groups: usize,
    held: usize,
    bytes: usize,
    memory: usize,
}

/// Rows and bytes that a commit added, or that a builder holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub rows: usize,
    pub bytes: usize,
}

/// What a group costs beside its rows: here, and as a batch of its own.
const GROUP_BYTES: usize = 512;

/// Small groups are finished together until their rows are at least so many bytes: a group of
/// that size has arrays of its own, which are given back when its batch is.
const PORTION_BYTES: usize = 1 << 20;

impl<C: Column> Rows<C> {
    pub fn new(table: Table, columns: C) -> Self {
        Self {
            table,
            columns,
            len: 0,
            runs: Vec::new(),
            groups: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            request: 1,
            held: 0,
            committed: Committed::default(),
            is_touched: false,
            stamps: Stamps::default(),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn num_groups(&self) -> usize {
        self.groups.len()
    }

    fn hash(hasher: &RandomState, service: Option<&str>, hour: i64) -> u64 {
        hasher.hash_one((service, hour))
    }

    /// The group of a service and hour, opened if need be; `allowance` is how many more groups
    /// the request may touch, and `None` means that it is used up.
    pub fn group(
        &mut self,
        service: Option<&str>,
        hour: i64,
        allowance: &mut usize,
    ) -> Option<u32> {
        let hash = Self::hash(&self.hasher, service, hour);
        let groups = &self.groups;
        let is_it = |&i: &u32| {
            groups[i as usize].hour == hour && groups[i as usize].service.as_deref() == service
        };
        let at = self.index.find(hash, is_it).copied();
        if at.is_none_or(|at| groups[at as usize].request != self.request) {
            *allowance = allowance.checked_sub(1)?;
        }
        let at = at.unwrap_or_else(|| self.open(service, hour));
        self.groups[at as usize].request = self.request;
        Some(at)
    }

    #[cold]
    fn open(&mut self, service: Option<&str>, hour: i64) -> u32 {
        let at = self.groups.len() as u32;
        self.groups.push(Group {
            service: service.map(Arc::from),
            hour,
            stamps: [0; 3],
            held: 0,
            request: 0,
            rows: 0,
        });
        let (groups, hasher) = (&self.groups, &self.hasher);
        let hash = |&at: &u32| {
            let group = &groups[at as usize];
            Self::hash(hasher, group.service.as_deref(), group.hour)
        };
        self.index.insert_unique(hash(&at), at, hash);
        at
    }

    /// Says that the rows to come are the group's, and repeat what the columns repeat now; gives
    /// the bytes that the group holds of it and has not held before.
    pub fn enter(&mut self, group: u32) -> usize {
        let Stamps { resource, scope, metric, .. } = self.stamps;
        let now = [resource, scope, metric];
        let bytes = [self.stamps.resource_bytes, self.stamps.scope_bytes, self.stamps.metric_bytes];
        let group = &mut self.groups[group as usize];
        let entered = (0..3).filter(|&at| group.stamps[at] != now[at]).map(|at| bytes[at]).sum();
        group.stamps = now;
        group.held += entered;
        self.held += entered;
        entered
    }

    /// Says that the columns hold one row more, which is the group's.
    #[inline(always)]
    pub fn push_row(&mut self, group: u32) {
        self.len += 1;
        // Rows are counted by the bytes of payloads: below 2^31.
        let end = self.len as u32;
        match self.runs.last_mut() {
            Some(run) if run.group == group => run.end = end,
            _ => self.runs.push(Run { group, end }),
        }
    }

    /// Undoes the row that was begun: a rejected record leaves no trace.
    #[cold]
    pub fn drop_row(&mut self) {
        self.columns.truncate(self.len);
    }

    /// Bytes of memory that the rows take.
    pub fn memory_bytes(&self) -> usize {
        self.columns.memory_bytes()
            + self.runs.capacity() * size_of::<Run>()
            + self.groups.capacity() * size_of::<Group>()
            + self.groups.len() * GROUP_BYTES
            + self.index.allocation_size()
            + self.held
    }

    /// Keeps what the request appended, and says how much that was.
    pub fn commit(&mut self) -> Size {
        if !std::mem::take(&mut self.is_touched) {
            return Size::default();
        }
        self.request += 1;
        self.columns.shrink();
        let rows = self.len - self.committed.len;
        if rows == 0 {
            // What was rejected may have made room.
            self.committed.memory = self.memory_bytes();
            return Size::default();
        }
        let (bytes, memory) = (self.columns.num_bytes(), self.memory_bytes());
        let before = std::mem::replace(
            &mut self.committed,
            Committed {
                len: self.len,
                runs: self.runs.len(),
                last_end: self.runs.last().map_or(0, |run| run.end),
                groups: self.groups.len(),
                held: self.held,
                bytes,
                memory,
            },
        );
        self.columns.checkpoint();
        Size { rows, bytes: bytes.saturating_sub(before.bytes) }
    }

    /// Undoes everything since the last commit.
    #[cold]
    pub fn rollback(&mut self) {
        self.is_touched = false;
        self.request += 1;
        self.stamps = Stamps::default();
        self.len = self.committed.len;
        self.held = self.committed.held;
        self.columns.rollback();
        self.columns.shrink();
        self.runs.truncate(self.committed.runs);
        if let Some(run) = self.runs.last_mut() {
            run.end = self.committed.last_end;
        }
        shrink(&mut self.runs);
        while self.groups.len() > self.committed.groups {
            self.close_last();
        }
        shrink(&mut self.groups);
        self.committed.memory = self.memory_bytes();
    }

    /// Removes the last group of the list.
    fn close_last(&mut self) {
        let at = self.groups.len() - 1;
        let group = &self.groups[at];
        let hash = Self::hash(&self.hasher, group.service.as_deref(), group.hour);
        if let Ok(entry) = self.index.find_entry(hash, |&i| i as usize == at) {
            entry.remove();
        }
        self.groups.pop();
    }

    /// Whether the rows of one service and hour come after those of another: then nothing has to
    /// be copied.
    fn are_together(&self) -> bool {
        (0..).zip(&self.runs).all(|(number, run)| run.group == number)
    }

    /// Whether it is a small table (`small.rs`); one without rows is.
    fn is_small(&self) -> bool {
        self.len <= SMALL_ROWS && self.committed.bytes <= SMALL_BYTES && self.are_together()
    }

    /// Turns the rows of a small table into Arrow batches and leaves none.
    fn write(&mut self, make_text: MakeText, out: &mut Vec<TableBatch>) {
        if self.len == 0 {
            return;
        }
        let repeated = self.stamps.bytes() as usize * self.len;
        let mut writer = SmallWriter::new(2 * self.committed.bytes + repeated);
        self.columns.write(self.len, &mut writer);
        let written = Arc::new(writer.finish(self.len, make_text));
        let mut start = 0;
        for (run, group) in self.runs.iter().zip(&self.groups) {
            let (rows, columns) = (start..run.end as usize, Arc::clone(&written));
            let whose = (group.service.clone(), group.hour);
            out.push(TableBatch::of_small(self.table, whose, columns, rows));
            start = run.end as usize;
        }
        self.index.clear();
        self.groups.clear();
        self.runs.clear();
        self.forget();
    }

    /// Begins anew without rows, with the room that there is.
    fn forget(&mut self) {
        (self.len, self.held) = (0, 0);
        self.stamps = Stamps::default();
        self.committed = Committed { memory: self.memory_bytes(), ..Committed::default() };
    }

    /// Which rows are finished together: each large group for itself, small ones by the dozen.
    fn portions(&mut self) -> Vec<Portion> {
        if self.are_together() && self.held <= self.columns.num_bytes() + PORTION_BYTES {
            let groups = self.runs.iter().map(|run| (run.group, run.end as usize)).collect();
            return vec![Portion { ranges: vec![0..self.len], groups }];
        }
        let row_bytes = self.columns.num_bytes() / self.len.max(1);
        let mut start = 0;
        for run in &self.runs {
            self.groups[run.group as usize].rows += run.end - start;
            start = run.end;
        }
        // The portion of each group.
        let mut portions: Vec<Portion> = Vec::new();
        let (mut rows, mut held) = (0, 0);
        let place: Vec<usize> = self
            .groups
            .iter()
            .enumerate()
            .map(|(at, group)| {
                let is_large = group.rows as usize * row_bytes >= PORTION_BYTES;
                let is_full = rows * row_bytes + held >= PORTION_BYTES;
                if portions.is_empty() || is_large || is_full {
                    portions.push(Portion { ranges: Vec::new(), groups: Vec::new() });
                    (rows, held) = (0, 0);
                }
                rows += group.rows as usize;
                held += group.held;
                portions.last_mut().expect("pushed above").groups.push((at as u32, rows));
                portions.len() - 1
            })
            .collect();
        // The runs of each group, one group after another, in order of arrival.
        let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(self.runs.len());
        let mut start = 0;
        for run in &self.runs {
            order.push((run.group, start, run.end));
            start = run.end;
        }
        // Stable, and quick where one request after another has the same groups in order.
        order.sort_by_key(|&(group, ..)| group);
        for (group, start, end) in order {
            portions[place[group as usize]].push(start as usize..end as usize);
        }
        portions
    }

    /// Turns the rows into Arrow batches and leaves none.
    pub fn finish(
        &mut self,
        strings: Strings,
        make_text: MakeText,
        out: &mut Vec<TableBatch>,
    ) -> Result<(), ArrowError> {
        if self.len == 0 {
            return Ok(());
        }
        let portions = self.portions();
        let mut parts = Parts::new(portions.len(), make_text);
        self.columns.finish(&portions, &mut parts)?;
        let groups = std::mem::take(&mut self.groups);
        self.index = HashTable::new();
        self.runs = Vec::new();
        self.forget();
        parts.present(
            self.table,
            strings,
            &portions,
            |group| {
                let Group { service, hour, .. } = &groups[group as usize];
                (service.clone(), *hour)
            },
            out,
        )
    }
}
