//! Which rows a finish brings together, and where each group's rows are then.

use std::ops::Range;

/// Rows that are finished as one set of arrays: those of one large group or of several small
/// ones, group after group.
pub(crate) struct Portion {
    /// The rows, in ranges of those of the table.
    pub ranges: Vec<Range<usize>>,
    /// The groups by their numbers, and the row of the portion behind each one's last.
    pub groups: Vec<(u32, usize)>,
}

impl Portion {
    pub fn rows(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Whether `portions` are a single one of all `rows` in their order: then nothing has to be
    /// copied.
    pub fn are_whole(portions: &[Self], rows: usize) -> bool {
        match portions {
            [portion] => portion.ranges.len() == 1 && portion.ranges[0] == (0..rows),
            _ => false,
        }
    }

    /// Adds rows behind the others.
    pub fn push(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}
