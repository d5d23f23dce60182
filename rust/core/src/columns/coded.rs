//! Finished columns as keys and dictionaries: what a Parquet writer in the same process takes.
//!
//! Each group has a dictionary of its own texts, in the order of their appearance; a group that has
//! the same texts as one before shares that one's.

use std::ops::Range;
use std::rc::Rc;

use arrow_array::types::Int32Type;
use arrow_array::{Int32Array, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::batch::{Presented, for_groups};
use super::dictionary::Distinct;
use super::finished::{Finished, MakeText, NULL_KEY, Zeros};
use super::numbers::nulls_where;
use super::uniform::{Items, Uniform};

/// What is known of the texts of each column, from one portion to the next.
#[derive(Default)]
pub(super) struct Scratch {
    is_one_group: bool,
    columns: Vec<Own>,
}

/// For each text of a column, the last group that had it and its key there; and where it was last
/// put among the portion's texts.
#[derive(Default)]
pub(super) struct Own {
    is_one_group: bool,
    keys: Vec<OwnKey>,
    group: u32,
}

#[derive(Clone, Copy, Default)]
struct OwnKey {
    group: u32,
    key: i32,
    place: u32,
}

impl Scratch {
    /// `is_one_group` says that all rows are of one group.
    pub fn new(is_one_group: bool) -> Self {
        Self { is_one_group, columns: Vec::new() }
    }

    pub fn column(&mut self, at: usize) -> &mut Own {
        while self.columns.len() <= at {
            self.columns.push(Own { is_one_group: self.is_one_group, ..Own::default() });
        }
        &mut self.columns[at]
    }
}

/// The keys and texts of groups, one after another, while they are made.
struct Coding<'a> {
    own: &'a mut Own,
    distinct: &'a Distinct,
    keys: Uniform<i32>,
    /// The keys of the texts of the group at hand, in order of appearance.
    group: Vec<i32>,
    /// The texts of the groups before, and their keys.
    values: Distinct,
    placed: Vec<i32>,
    texts: Vec<Range<usize>>,
}

impl<'a> Coding<'a> {
    fn new(own: &'a mut Own, distinct: &'a Distinct) -> Self {
        own.keys.resize(distinct.len(), OwnKey::default());
        Self {
            own,
            distinct,
            keys: Uniform::default(),
            group: Vec::new(),
            values: Distinct::default(),
            placed: Vec::new(),
            texts: Vec::new(),
        }
    }

    fn begin_group(&mut self) {
        self.own.group += 1;
        self.group.clear();
    }

    /// Appends `rows` rows with the text of a key.
    #[inline]
    fn push(&mut self, key: i32, rows: usize) {
        let Some(own) = self.own.keys.get_mut(key as usize) else {
            return self.keys.extend(NULL_KEY, rows);
        };
        if own.group != self.own.group {
            (own.group, own.key) = (self.own.group, self.group.len() as i32);
            self.group.push(key);
        }
        self.keys.extend(own.key, rows);
    }

    /// The texts of a group that has the same as one before (the same resource in another hour)
    /// are those of that one.
    fn end_group(&mut self) {
        let first = self.group.first().map_or(0, |&key| self.own.keys[key as usize].place as usize);
        let count = self.group.len();
        if self.placed.get(first..first + count) == Some(&self.group) {
            return self.texts.push(first..first + count);
        }
        let start = self.placed.len();
        for (at, &key) in self.group.iter().enumerate() {
            self.values.push(self.distinct.get(key).unwrap_or_default());
            self.own.keys[key as usize].place = (start + at) as u32;
        }
        self.placed.extend_from_slice(&self.group);
        self.texts.push(start..start + count);
    }

    fn finish(mut self, zeros: &mut Zeros, make_text: MakeText) -> Result<Presented, ArrowError> {
        let values = self.values.into_array(make_text)?;
        let keys = key_array(self.keys.take(), zeros)?;
        Ok(Presented::Coded { keys, values, texts: self.texts })
    }
}

/// Keys, of which `NULL_KEY` is null. What a null row's key is counts for nothing, but it must be
/// one.
fn key_array(keys: Items<i32>, zeros: &mut Zeros) -> Result<Int32Array, ArrowError> {
    let (keys, nulls) = match keys {
        Items::Alike(key @ ..=0, rows) => {
            let keys = ScalarBuffer::new(zeros.get(rows * size_of::<i32>()), 0, rows);
            (keys, (key == NULL_KEY && rows > 0).then(|| NullBuffer::new_null(rows)))
        }
        keys => {
            let mut keys = keys.into_vec();
            let nulls = nulls_where(keys.len(), |row| keys[row] == NULL_KEY);
            if nulls.is_some() {
                keys.iter_mut().for_each(|key| *key = (*key).max(0));
            }
            (ScalarBuffer::from(keys), nulls)
        }
    };
    PrimitiveArray::<Int32Type>::try_new(keys, nulls)
}

impl Finished {
    /// The array of a column that has no dictionary; or keys, and dictionaries for the groups.
    pub(super) fn into_coded(
        self,
        groups: &[(u32, usize)],
        own: &mut Own,
        zeros: &mut Zeros,
        make_text: MakeText,
    ) -> Result<Presented, ArrowError> {
        match self {
            Self::Array(array) => Ok(Presented::Array(array)),
            Self::Keys { keys, values } => {
                if own.is_one_group {
                    let texts = vec![0..values.len()];
                    let values = Rc::unwrap_or_clone(values).into_array(make_text)?;
                    let keys = key_array(keys, zeros)?;
                    return Ok(Presented::Coded { keys, values, texts });
                }
                let mut coding = Coding::new(own, &values);
                for_groups(groups, |_, rows| {
                    coding.begin_group();
                    match &keys {
                        Items::Alike(key, _) => coding.push(*key, rows.len()),
                        Items::Values(keys) => {
                            keys[rows].iter().for_each(|&key| coding.push(key, 1));
                        }
                    }
                    coding.end_group();
                });
                coding.finish(zeros, make_text)
            }
            Self::Runs { runs, column } => {
                let mut coding = Coding::new(own, runs.distinct());
                let mut keys = runs.keys(column);
                let mut left = (NULL_KEY, 0);
                for_groups(groups, |_, rows| {
                    coding.begin_group();
                    let mut wanted = rows.len();
                    while wanted > 0 {
                        if left.1 == 0 {
                            let Some(next) = keys.next() else { break };
                            left = next;
                        }
                        let taken = wanted.min(left.1);
                        coding.push(left.0, taken);
                        left.1 -= taken;
                        wanted -= taken;
                    }
                    coding.end_group();
                });
                coding.finish(zeros, make_text)
            }
        }
    }
}
