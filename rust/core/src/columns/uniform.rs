//! A vector that stores nothing while all of its items are alike.
//!
//! Most columns of most requests hold one value: no dropped attributes, no links, one severity. A
//! million rows of such a column are a value and a count, here and up to the finished array.

use std::ops::Range;

/// What can be told apart bit by bit: `-0.0` is not `0.0`, and NaN is itself.
pub(crate) trait Item: Copy + Default {
    fn is(self, other: Self) -> bool;
}

macro_rules! items {
    ($($kind:ty)*) => {
        $(impl Item for $kind {
            #[inline(always)]
            fn is(self, other: Self) -> bool {
                self == other
            }
        })*
    };
}
items!(bool i32 i64);

impl Item for f64 {
    #[inline(always)]
    fn is(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

/// Room for so many items is made when they are alike no more.
const FIRST_ROOM: usize = 128;

/// Items; `alike` of them, all `first`, while `values` is empty.
#[derive(Default)]
pub(crate) struct Uniform<T> {
    values: Vec<T>,
    first: T,
    alike: usize,
}

/// The items of a vector that grows no more.
pub(crate) enum Items<T> {
    /// So many, all alike.
    Alike(T, usize),
    /// Any.
    Values(Vec<T>),
}

impl<T: Item> Uniform<T> {
    #[inline(always)]
    pub fn push(&mut self, value: T) {
        if self.values.is_empty() {
            return self.push_alike(value);
        }
        self.values.push(value);
    }

    #[inline(always)]
    fn push_alike(&mut self, value: T) {
        if self.first.is(value) {
            self.alike += 1;
        } else {
            self.push_other(value);
        }
    }

    #[inline(never)]
    fn push_other(&mut self, value: T) {
        if self.alike > 0 {
            self.values.reserve((2 * self.alike).clamp(FIRST_ROOM, 1 << 16));
            self.values.resize(self.alike, self.first);
            self.values.push(value);
        } else {
            (self.first, self.alike) = (value, 1);
        }
    }

    /// Appends an item `count` times.
    #[inline]
    pub fn extend(&mut self, value: T, count: usize) {
        if count == 0 {
            return;
        }
        self.push(value);
        if count == 1 {
            return;
        }
        if self.values.is_empty() {
            self.alike += count - 1;
        } else {
            self.values.resize(self.values.len() + count - 1, value);
        }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        if self.values.is_empty() { self.alike } else { self.values.len() }
    }

    pub fn last(&self) -> Option<T> {
        self.values.last().copied().or((self.alike > 0).then_some(self.first))
    }

    /// The item at a place below `len`.
    #[inline(always)]
    pub fn get(&self, at: usize) -> T {
        if self.values.is_empty() { self.first } else { self.values[at] }
    }

    /// The item that all are, if they are alike (or none).
    pub fn alike(&self) -> Option<T> {
        self.values.is_empty().then_some(self.first)
    }

    /// The items, unless they are alike.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Drops all items, and keeps the room for others.
    pub fn clear(&mut self) {
        self.values.clear();
        (self.first, self.alike) = (T::default(), 0);
    }

    pub fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.alike = self.alike.min(len);
    }

    /// The items of ranges, one after another.
    pub fn gather(&self, ranges: &[Range<usize>]) -> Items<T> {
        let len = ranges.iter().map(Range::len).sum();
        if self.values.is_empty() {
            return Items::Alike(self.first, len);
        }
        let mut values = Vec::with_capacity(len);
        for range in ranges {
            values.extend_from_slice(&self.values[range.clone()]);
        }
        Items::Values(values)
    }

    /// All items; none are left.
    pub fn take(&mut self) -> Items<T> {
        let items = if self.values.is_empty() {
            Items::Alike(self.first, self.alike)
        } else {
            Items::Values(std::mem::take(&mut self.values))
        };
        *self = Self::default();
        items
    }

    pub fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
    }

    /// Gives back room that is far above what is in use.
    pub fn shrink(&mut self) {
        if self.values.is_empty() && self.memory_bytes() > KEPT_IDLE_BYTES {
            self.values = Vec::new();
        }
        shrink(&mut self.values);
    }
}

impl<T: Item> Items<T> {
    pub fn len(&self) -> usize {
        match self {
            Self::Alike(_, len) => *len,
            Self::Values(values) => values.len(),
        }
    }

    #[inline(always)]
    pub fn get(&self, at: usize) -> T {
        match self {
            Self::Alike(value, _) => *value,
            Self::Values(values) => values[at],
        }
    }

    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Alike(value, len) => vec![value; len],
            Self::Values(values) => values,
        }
    }
}

/// Room that is kept whatever is in use.
const KEPT_BYTES: usize = 64 << 10;

/// Room that is kept while all items are alike.
const KEPT_IDLE_BYTES: usize = 4 << 10;

/// Gives back the room of a vector that is far above what is in use.
pub(crate) fn shrink<T>(values: &mut Vec<T>) {
    if values.capacity() * size_of::<T>() > KEPT_BYTES && values.capacity() / 4 > values.len() {
        values.shrink_to(values.len() + values.len() / 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_those_that_were_pushed() {
        for items in [&[][..], &[0, 0], &[1, 1, 1], &[0, 1], &[1, 1, 0, 1], &[2, 0, 0]] {
            let mut uniform = Uniform::<i32>::default();
            items.iter().for_each(|&item| uniform.push(item));
            assert_eq!(uniform.len(), items.len());
            assert_eq!(uniform.last(), items.last().copied());
            let is_alike = items.windows(2).all(|pair| pair[0] == pair[1]);
            assert_eq!(uniform.alike().is_some(), is_alike);
            assert_eq!(uniform.memory_bytes() == 0, is_alike);
            for end in 0..=items.len() {
                let half = end / 2;
                assert_eq!(uniform.gather(&[half..end, 0..half]).into_vec(), {
                    [&items[half..end], &items[..half]].concat()
                });
            }
            for len in (0..=items.len()).rev() {
                uniform.truncate(len);
                assert_eq!(uniform.gather(&[0..len]).into_vec(), items[..len]);
            }
            uniform.push(9);
            assert_eq!((uniform.len(), uniform.get(0)), (1, 9));
        }
    }

    #[test]
    fn doubles_are_told_apart_by_their_bits() {
        let mut doubles = Uniform::<f64>::default();
        doubles.push(0.0);
        doubles.push(-0.0);
        assert!(doubles.get(1).is_sign_negative() && !doubles.get(0).is_sign_negative());
        let mut doubles = Uniform::<f64>::default();
        (0..3).for_each(|_| doubles.push(f64::NAN));
        assert!(doubles.alike().is_some_and(f64::is_nan));
    }
}
