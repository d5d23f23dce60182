//! Texts stored once and named by a number: the values side of an Arrow dictionary array.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_schema::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::blocks::BLOCK;
use super::finished::MakeText;
use super::uniform::shrink;

/// Distinct texts in order of first appearance; keys are 0, 1, 2, …
pub(crate) struct Dictionary {
    data: Vec<u8>,
    offsets: Vec<i32>,
    /// All keys by the hash of their text; empty while there are at most `FEW`.
    keys: HashTable<i32>,
    hasher: RandomState,
    /// Keys met lately, each at the place that its text's length and ends give.
    recent: [i32; RECENT],
    checkpoint: usize,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            offsets: Vec::new(),
            keys: HashTable::new(),
            // Seeded per process: a sender cannot choose texts that collide. Keys come from the
            // order of arrival, so the seed never shows in the output.
            hasher: RandomState::default(),
            recent: [0; RECENT],
            checkpoint: 0,
        }
    }
}

/// So many texts are looked through one by one: most columns have no more.
const FEW: usize = 16;

const RECENT: usize = 16;

/// Texts of so many bytes in all get a block behind them at the end.
const PADDED_BYTES: usize = 64 << 10;

/// The offsets of no texts, with room for those of a few.
fn first_offset() -> Vec<i32> {
    let mut offsets = Vec::with_capacity(FEW);
    offsets.push(0);
    offsets
}

/// Where a text is remembered in `recent`.
#[inline(always)]
fn place(text: &[u8]) -> usize {
    let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return 0 };
    (usize::from(first) ^ (usize::from(last) << 2) ^ (text.len() * 3)) % RECENT
}

#[inline(always)]
fn slice<'a>(data: &'a [u8], offsets: &[i32], key: i32) -> &'a [u8] {
    let key = key as usize;
    &data[offsets[key] as usize..offsets[key + 1] as usize]
}

impl Dictionary {
    /// How many texts there are; a dictionary without any has no offsets either.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The text of a key; none for a number that is no key.
    #[inline(always)]
    pub fn get(&self, key: i32) -> Option<&[u8]> {
        ((key as usize) < self.len()).then(|| slice(&self.data, &self.offsets, key))
    }

    /// The key of a text, which is added if it is new; none if it is not valid UTF-8.
    #[inline]
    pub fn key(&mut self, text: &[u8]) -> Option<i32> {
        let place = place(text);
        let recent = self.recent[place];
        if self.get(recent) == Some(text) {
            return Some(recent);
        }
        let key = self.key_of_any(text)?;
        self.recent[place] = key;
        Some(key)
    }

    #[inline(never)]
    fn key_of_any(&mut self, text: &[u8]) -> Option<i32> {
        let few = self.len() <= FEW;
        let found = if few {
            (0..self.len() as i32).find(|&key| slice(&self.data, &self.offsets, key) == text)
        } else {
            let is_it = |&key: &i32| slice(&self.data, &self.offsets, key) == text;
            self.keys.find(self.hasher.hash_one(text), is_it).copied()
        };
        if found.is_some() {
            return found;
        }
        // Only a new text has to be looked at: one that is here already is valid.
        std::str::from_utf8(text).ok()?;
        let key = self.len() as i32;
        if self.offsets.is_empty() {
            self.offsets = first_offset();
        }
        self.data.extend_from_slice(text);
        self.offsets.push(self.data.len() as i32);
        if self.len() > FEW {
            (if few { 0 } else { key }..=key).for_each(|key| self.enter(key));
        }
        Some(key)
    }

    /// Makes a key findable by its text's hash.
    fn enter(&mut self, key: i32) {
        let (data, offsets, hasher) = (&self.data, &self.offsets, &self.hasher);
        let hash = |&key: &i32| hasher.hash_one(slice(data, offsets, key));
        self.keys.insert_unique(hash(&key), key, hash);
    }

    /// Drops all texts, and keeps the room for others.
    pub fn clear(&mut self) {
        self.data.clear();
        self.offsets.truncate(1);
        self.keys.clear();
        self.recent = [0; RECENT];
        self.checkpoint = 0;
    }

    /// Remembers the present texts for the whole request.
    pub fn checkpoint(&mut self) {
        self.checkpoint = self.len();
    }

    /// Forgets the texts added since `checkpoint`.
    pub fn rollback(&mut self) {
        self.truncate(self.checkpoint);
    }

    fn truncate(&mut self, len: usize) {
        if len <= FEW {
            self.keys.clear();
        } else {
            for key in len..self.len() {
                let hash = self.hasher.hash_one(slice(&self.data, &self.offsets, key as i32));
                if let Ok(entry) = self.keys.find_entry(hash, |&other| other as usize == key) {
                    entry.remove();
                }
            }
        }
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(end as usize);
    }

    pub fn num_bytes(&self) -> usize {
        self.data.len() + self.len() * size_of::<i32>()
    }

    /// Bytes of memory, the index by text included.
    pub fn memory_bytes(&self) -> usize {
        self.data.capacity()
            + self.offsets.capacity() * size_of::<i32>()
            + self.keys.allocation_size()
    }

    /// Gives back room that is far above what is in use.
    pub fn shrink(&mut self) {
        shrink(&mut self.data);
        shrink(&mut self.offsets);
        if self.keys.capacity() / 8 > self.keys.len() {
            let (data, offsets, hasher) = (&self.data, &self.offsets, &self.hasher);
            let hash = |&key: &i32| hasher.hash_one(slice(data, offsets, key));
            self.keys.shrink_to(self.keys.len(), hash);
        }
    }

    /// The texts; the dictionary is not to be used afterwards.
    pub fn finish(&mut self) -> Distinct {
        // Behind the last text is a block that is none, so that each can be copied as a block; for
        // the last of many texts, all of them are not moved.
        if (1..=PADDED_BYTES).contains(&self.data.len()) {
            self.data.resize(self.data.len() + BLOCK, 0);
        }
        Distinct {
            data: std::mem::take(&mut self.data),
            offsets: match std::mem::take(&mut self.offsets) {
                offsets if offsets.is_empty() => vec![0],
                offsets => offsets,
            },
        }
    }
}

/// The texts of a dictionary that grows no more.
#[derive(Clone)]
pub(crate) struct Distinct {
    /// The texts one after another, and perhaps bytes behind them that are no text's.
    data: Vec<u8>,
    offsets: Vec<i32>,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { data: Vec::new(), offsets: first_offset() }
    }
}

impl Distinct {
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The text of a key; none for a number that is no key.
    #[inline(always)]
    pub fn get(&self, key: i32) -> Option<&[u8]> {
        ((key as u32 as usize) < self.len()).then(|| slice(&self.data, &self.offsets, key))
    }

    /// Bytes of all texts together.
    pub fn num_bytes(&self) -> usize {
        self.offsets.last().map_or(0, |&end| end as usize)
    }

    /// Adds a text that is valid UTF-8, and gives its key.
    pub fn push(&mut self, text: &[u8]) -> i32 {
        self.data.truncate(self.num_bytes());
        self.data.extend_from_slice(text);
        self.offsets.push(self.data.len() as i32);
        self.len() as i32 - 1
    }

    /// The texts one after another (and perhaps more behind them), and where each begins and the
    /// last one ends.
    pub fn parts(&self) -> (&[u8], &[i32]) {
        (&self.data, &self.offsets)
    }

    /// The texts as an Arrow array.
    pub fn into_array(mut self, make_text: MakeText) -> Result<StringArray, ArrowError> {
        self.data.truncate(self.num_bytes());
        make_text(ScalarBuffer::from(self.offsets), Buffer::from_vec(self.data), None)
    }
}
