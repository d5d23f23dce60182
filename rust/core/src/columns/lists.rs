//! Lists of a column's values, or parallel lists of several columns' values; never null.

use std::sync::Arc;

use arrow_array::ListArray;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::Column;
use super::finished::{Finished, Parts};
use super::portions::Portion;
use super::small::SmallWriter;
use super::uniform::{Items, Uniform};
use crate::schema::{Table, list_items};

pub(crate) struct Lists<C> {
    /// The items of all rows one after another.
    pub items: C,
    /// Where the rows' items begin and the last one's end.
    offsets: Uniform<i32>,
    /// The list columns that the items make: in this table, from this column on.
    table: Table,
    first: &'static str,
    mark: usize,
}

impl<C: Column + Default> Lists<C> {
    /// The list column `first` of a table, and one more for each further column of the items.
    pub fn new(table: Table, first: &'static str) -> Self {
        let mut offsets = Uniform::default();
        offsets.push(0);
        Self { items: C::default(), offsets, table, first, mark: 0 }
    }

    /// Ends the row; `items` is the number of items in all rows now.
    #[inline(always)]
    pub fn end_row(&mut self, items: usize) {
        self.offsets.push(items as i32);
    }

    /// How many items the rows that have ended hold.
    fn num_items(&self) -> usize {
        self.offsets.last().map_or(0, |end| end as usize)
    }

    /// The items of a portion's rows.
    fn items_of(&self, portion: &Portion) -> Portion {
        let place = |row: usize| self.offsets.get(row) as usize;
        let mut items = Portion { ranges: Vec::new(), groups: Vec::new() };
        if self.offsets.alike().is_some() {
            return items;
        }
        for rows in &portion.ranges {
            let (start, end) = (place(rows.start), place(rows.end));
            if start < end {
                items.push(start..end);
            }
        }
        items
    }

    fn offsets_of(&self, portion: &Portion) -> Items<i32> {
        if self.offsets.alike().is_some() {
            return Items::Alike(0, portion.rows() + 1);
        }
        let mut offsets = Vec::with_capacity(portion.rows() + 1);
        offsets.push(0);
        let mut end = 0;
        for rows in &portion.ranges {
            let to = end - self.offsets.get(rows.start);
            offsets.extend((rows.start + 1..=rows.end).map(|row| self.offsets.get(row) + to));
            end += self.offsets.get(rows.end) - self.offsets.get(rows.start);
        }
        Items::Values(offsets)
    }
}

impl<C: Column + Default> Column for Lists<C> {
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.items.truncate(self.num_items());
    }

    fn checkpoint(&mut self) {
        self.mark = self.offsets.len() - 1;
        self.items.checkpoint();
    }

    fn rollback(&mut self) {
        self.offsets.truncate(self.mark + 1);
        self.items.rollback();
    }

    fn num_bytes(&self) -> usize {
        self.items.num_bytes() + self.offsets.len() * size_of::<i32>()
    }

    fn memory_bytes(&self) -> usize {
        self.items.memory_bytes() + self.offsets.memory_bytes()
    }

    fn shrink(&mut self) {
        self.items.shrink();
        self.offsets.shrink();
    }

    fn finish(&mut self, portions: &[Portion], out: &mut Parts) -> Result<(), ArrowError> {
        let mut column = std::mem::replace(self, Self::new(self.table, self.first));
        let rows = column.offsets.len() - 1;
        let offsets: Vec<Items<i32>> = if Portion::are_whole(portions, rows) {
            let items = column.num_items();
            let whole = Portion { ranges: vec![0..items], groups: Vec::new() };
            let mut made = out.beside(1);
            column.items.finish(&[whole], &mut made)?;
            let offsets = vec![column.offsets.take()];
            return column.push_lists(made, offsets, out);
        } else {
            portions.iter().map(|portion| column.offsets_of(portion)).collect()
        };
        let items: Vec<Portion> = portions.iter().map(|portion| column.items_of(portion)).collect();
        let mut made = out.beside(portions.len());
        column.items.finish(&items, &mut made)?;
        column.push_lists(made, offsets, out)
    }

    fn write(&mut self, _rows: usize, out: &mut SmallWriter) {
        let (begun, items) = (out.begin_items(), self.num_items());
        self.items.write(items, out);
        out.push_lists(begun, items, &self.offsets, list_items(self.table, self.first));
        self.offsets.clear();
        self.offsets.push(0);
        self.mark = 0;
    }
}

impl<C> Lists<C> {
    fn push_lists(
        &self,
        made: Parts,
        offsets: Vec<Items<i32>>,
        out: &mut Parts,
    ) -> Result<(), ArrowError> {
        for (at, (columns, offsets)) in made.portions.into_iter().zip(offsets).enumerate() {
            let offsets = match offsets {
                Items::Alike(_, len) => {
                    ScalarBuffer::new(out.zeros(len * size_of::<i32>()), 0, len)
                }
                Items::Values(values) => ScalarBuffer::from(values),
            };
            let offsets = OffsetBuffer::new(offsets);
            for (items, item) in columns.into_iter().zip(list_items(self.table, self.first)) {
                let items = items.into_plain_array(out.make_text)?;
                let lists = ListArray::try_new(Arc::clone(item), offsets.clone(), items, None)?;
                out.push(at, Finished::Array(Arc::new(lists)));
            }
        }
        Ok(())
    }
}
