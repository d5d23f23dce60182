//! Attributes met lately with their JSON text: telemetry says the same few things all day.
//!
//! The text of a usual attribute follows from its bytes alone, so the same bytes are given the
//! same text again: compared and copied as blocks, which is less work than to render them.
//! What is here depends on what came before; what is written never does.

use crate::blocks;
use crate::buffer::ByteBuffer;

/// The longest KeyValue that is remembered.
const BYTES: usize = 48;
/// The longest text that is remembered: as long as the KeyValue for a string, and an integer's
/// or double's digits are some bytes more than its wire form.
const TEXT: usize = 64;
/// Entries of the table; a power of two.
const SLOTS: usize = 256;
/// So many attributes are rendered before the table is made: a small request is done sooner.
const FIRST: u32 = 64;

#[derive(Clone)]
#[repr(align(64))]
struct Entry {
    /// Of the KeyValue; 0 if there is none.
    len: u8,
    text_len: u8,
    /// Whether another attribute was looked for here after this one was found.
    is_disputed: bool,
    /// The KeyValue, and zeros.
    bytes: [u8; BYTES],
    /// A separator and `"key":value`, and anything.
    text: [u8; TEXT],
}

const NONE: Entry =
    Entry { len: 0, text_len: 0, is_disputed: true, bytes: [0; BYTES], text: [0; TEXT] };

/// A table of attributes, each in the one place that its bytes give.
#[derive(Default)]
pub(crate) struct RecentAttributes {
    /// `SLOTS` of them, or none yet.
    entries: Vec<Entry>,
    rendered: u32,
}

/// Where a KeyValue would be; `None` if it is too long or too short to be remembered.
#[inline(always)]
fn slot(bytes: &[u8]) -> Option<usize> {
    if bytes.len() > BYTES {
        return None;
    }
    // Keys and values differ at their ends; a length alone would not tell `1` from `2`.
    let (first, last) = (bytes.first_chunk::<8>()?, bytes.last_chunk::<8>()?);
    let mixed = u64::from_le_bytes(*first).rotate_left(31) ^ u64::from_le_bytes(*last);
    Some((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SLOTS)
}

impl RecentAttributes {
    /// Appends separator and text of a KeyValue that was met before; false if it was not.
    /// `window` reaches from the KeyValue to the end of the payload.
    #[inline(always)]
    pub fn push(
        &mut self,
        out: &mut ByteBuffer,
        separator: u8,
        bytes: &[u8],
        window: &[u8],
    ) -> bool {
        let (Some(slot), Some(window)) = (slot(bytes), window.first_chunk()) else { return false };
        let Some(entry) = self.entries.get_mut(slot) else { return false };
        let is_it = usize::from(entry.len) == bytes.len()
            && blocks::begin_alike(window, &entry.bytes, bytes.len());
        if is_it {
            entry.is_disputed = false;
            let to: &mut [u8; TEXT] = out.room();
            *to = entry.text;
            to[0] = separator;
            out.advance(usize::from(entry.text_len));
        }
        is_it
    }

    /// Remembers what was just appended for a KeyValue, the separator included.
    #[inline(always)]
    pub fn remember(&mut self, bytes: &[u8], text: &[u8]) {
        let Some(slot) = slot(bytes) else { return };
        let Some(entry) = self.entries.get_mut(slot) else {
            self.rendered += 1;
            if self.rendered > FIRST {
                self.entries = vec![NONE; SLOTS];
            }
            return;
        };
        // One that comes once must not take the place of one that comes all the time.
        if !std::mem::replace(&mut entry.is_disputed, true) || text.len() > TEXT {
            return;
        }
        *entry = NONE;
        entry.bytes[..bytes.len()].copy_from_slice(bytes);
        entry.text[..text.len()].copy_from_slice(text);
        (entry.len, entry.text_len) = (bytes.len() as u8, text.len() as u8);
    }
}
