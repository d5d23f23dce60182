//! Texts stored once and named by a number: the values side of an Arrow dictionary array.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Distinct texts in order of first appearance; keys are 0, 1, 2, …
pub(crate) struct Dictionary {
    data: Vec<u8>,
    offsets: Vec<i32>,
    keys: HashTable<i32>,
    hasher: RandomState,
    /// Keys met lately, each at the place that its text's length and ends give.
    recent: [i32; RECENT],
    checkpoint: usize,
    mark: usize,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            offsets: vec![0],
            keys: HashTable::new(),
            // Seeded per process: a sender cannot choose texts that collide. Keys come from the
            // order of arrival, so the seed never shows in the output.
            hasher: RandomState::default(),
            recent: [0; RECENT],
            checkpoint: 0,
            mark: 0,
        }
    }
}

const RECENT: usize = 16;

/// Where a text is remembered in `recent`.
#[inline(always)]
fn place(text: &[u8]) -> usize {
    let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return 0 };
    (usize::from(first) ^ usize::from(last) << 2 ^ text.len() * 3) % RECENT
}

#[inline(always)]
fn slice<'a>(data: &'a [u8], offsets: &[i32], key: i32) -> &'a [u8] {
    let key = key as usize;
    &data[offsets[key] as usize..offsets[key + 1] as usize]
}

impl Dictionary {
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline(always)]
    fn get(&self, key: i32) -> Option<&[u8]> {
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
        let hash = self.hasher.hash_one(text);
        let (data, offsets, hasher) = (&self.data, &self.offsets, &self.hasher);
        if let Some(key) = self.keys.find(hash, |&key| slice(data, offsets, key) == text) {
            return Some(*key);
        }
        // Only a new text has to be looked at: one that is here already is valid.
        std::str::from_utf8(text).ok()?;
        let key = (offsets.len() - 1) as i32;
        self.keys.insert_unique(hash, key, |&key| hasher.hash_one(slice(data, offsets, key)));
        self.data.extend_from_slice(text);
        self.offsets.push(self.data.len() as i32);
        Some(key)
    }

    /// Remembers the present texts for the whole request.
    pub fn checkpoint(&mut self) {
        self.checkpoint = self.len();
        self.mark = self.checkpoint;
    }

    /// Forgets the texts added since `checkpoint`.
    pub fn rollback(&mut self) {
        self.truncate(self.checkpoint);
    }

    /// Remembers the present texts until the next mark.
    pub fn mark(&mut self) {
        self.mark = self.len();
    }

    /// Forgets the texts added since `mark`.
    pub fn forget_since_mark(&mut self) {
        self.truncate(self.mark);
    }

    fn truncate(&mut self, len: usize) {
        for key in len..self.len() {
            let hash = self.hasher.hash_one(slice(&self.data, &self.offsets, key as i32));
            if let Ok(entry) = self.keys.find_entry(hash, |&other| other as usize == key) {
                entry.remove();
            }
        }
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(end as usize);
    }

    pub fn num_bytes(&self) -> usize {
        self.data.len() + self.len() * size_of::<i32>()
    }

    /// The texts as an Arrow array; the dictionary is empty afterwards.
    pub fn finish(&mut self) -> Result<StringArray, ArrowError> {
        self.keys.clear();
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let data = std::mem::take(&mut self.data);
        StringArray::try_new(
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Buffer::from_vec(data),
            None,
        )
    }
}
