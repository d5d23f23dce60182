//! The accountant of a request: every text that a sender sizes is rendered through it.
//!
//! It knows how much memory the request may take and has been charged with, and counts what was met
//! on the way. Must not know what is rendered.

use crate::columns::{ByteBuffer, CHUNK};
use crate::error::{Excess, Fault};
use crate::limits::Limits;
use crate::text;
use crate::wire::{Cursor, Message};

/// What was met and is not stored as it came; for the answer and for the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Invalid UTF-8 parts replaced by U+FFFD.
    pub replaced_text: u64,
    /// Fields that OTLP 1.11 does not define.
    pub unknown_fields: u64,
    /// `Resource.entity_refs` entries (Development).
    pub entity_refs: u64,
    /// `string_value_strindex` and `key_strindex`, which only profiles use.
    pub string_indices: u64,
    /// Resources, scopes and metrics without a single record.
    pub without_records: u64,
}

/// The memory that a request may take.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All of it.
    pub total: usize,
    /// What is left of it for rows, beside the payload.
    pub rows: usize,
}

/// The state that rendering carries: limits, what was met, and what it has cost.
pub(crate) struct Renderer<'p> {
    pub limits: Limits,
    pub notes: Notes,
    payload: &'p [u8],
    memory: Memory,
    /// Bytes of memory that the request has been charged with; they are never given back, so that
    /// what is rejected counts as well.
    charged: usize,
    /// Where that begins which is being rendered.
    begun_at: usize,
    /// Parts of messages that were given more than once.
    parts: usize,
    /// The first field that OTLP does not know: where it is, and its number.
    pub first_unknown: Option<(usize, u32)>,
}

/// Texts up to this length are rendered without asking what comes of them.
const LONG: usize = 64 << 10;

/// A request may give messages in so many parts more than once each.
const MOST_PARTS: usize = 1_000_000;

impl<'p> Renderer<'p> {
    pub fn new(limits: Limits, payload: &'p [u8], memory: Memory) -> Self {
        let notes = Notes::default();
        Self {
            limits,
            notes,
            payload,
            memory,
            charged: 0,
            begun_at: 0,
            parts: 0,
            first_unknown: None,
        }
    }

    /// Counts bytes of memory that the request takes.
    #[inline(always)]
    pub fn charge(&mut self, bytes: usize) -> Result<(), Excess> {
        self.charged += bytes;
        if self.charged > self.memory.rows { Err(self.too_much()) } else { Ok(()) }
    }

    #[cold]
    fn too_much(&self) -> Excess {
        Excess::Memory { limit: self.memory.total }
    }

    /// Begins to render something of any size to `out`; `end` is told what this gives.
    #[inline(always)]
    pub fn begin(&mut self, out: &ByteBuffer) -> usize {
        self.begin_at(out.len())
    }

    /// As `begin`, of what begins at `start` and is partly there.
    #[inline(always)]
    pub fn begin_at(&mut self, start: usize) -> usize {
        self.begun_at = start;
        start
    }

    /// Counts what was rendered.
    #[inline(always)]
    pub fn end(&mut self, out: &ByteBuffer, start: usize) -> Result<(), Excess> {
        let bytes = out.len() - start;
        // A finish brings chunks together, so for a moment text is there twice.
        self.charge(2 * bytes + bytes.saturating_sub(CHUNK) / 4 * 5)
    }

    /// Whether there is memory for what has been rendered since `begin`, and `more`.
    #[inline]
    pub fn check_len(&self, out: &ByteBuffer, more: usize) -> Result<(), Excess> {
        let left = self.memory.rows - self.charged.min(self.memory.rows);
        // A buffer beyond a chunk exists twice when it is moved, with a quarter of room.
        let most = if left <= 2 * CHUNK { left / 2 } else { CHUNK + (left - 2 * CHUNK) / 13 * 4 };
        if out.len() + more > self.begun_at + most { Err(self.too_much()) } else { Ok(()) }
    }

    /// Adds an occurrence of a singular message field.
    #[inline(always)]
    pub fn merge<'a>(&mut self, message: &mut Message<'a>, bytes: &'a [u8]) -> Result<(), Excess> {
        if message.is_present() {
            self.parts += 1;
            if self.parts > MOST_PARTS {
                return Err(Excess::Parts { limit: MOST_PARTS });
            }
        }
        message.add(bytes);
        Ok(())
    }

    /// The payload from the beginning of one of its parts on: where a block may be read past
    /// the part's end.
    #[inline(always)]
    pub fn window(&self, part: &[u8]) -> &'p [u8] {
        let at = (part.as_ptr() as usize).wrapping_sub(self.payload.as_ptr() as usize);
        self.payload.get(at..).unwrap_or_default()
    }

    pub fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Passes over a field that has no place in the tables.
    #[inline(always)]
    pub fn skip_unknown(&mut self, cursor: &mut Cursor<'_>, tag: u32) -> Result<(), Fault> {
        *cursor = self.after_unknown(*cursor, tag)?;
        Ok(())
    }

    /// The place behind such a field.
    #[inline(never)]
    fn after_unknown<'a>(&mut self, mut cursor: Cursor<'a>, tag: u32) -> Result<Cursor<'a>, Fault> {
        self.notes.unknown_fields += 1;
        self.first_unknown.get_or_insert((cursor.address(), tag >> 3));
        cursor.skip(tag)?;
        Ok(cursor)
    }

    #[inline]
    pub fn push_text(&mut self, out: &mut ByteBuffer, bytes: &[u8]) -> Result<(), Excess> {
        let start = self.begin(out);
        if bytes.len() > LONG {
            self.check_len(out, text::text_len(bytes))?;
        }
        self.notes.replaced_text += text::push_text(out, bytes);
        self.end(out, start)
    }

    /// Appends a JSON string to what is being rendered.
    #[inline]
    pub fn push_json_string(&mut self, out: &mut ByteBuffer, bytes: &[u8]) -> Result<(), Excess> {
        if bytes.len() > LONG {
            self.check_len(out, text::json_string_len(bytes))?;
        }
        self.notes.replaced_text += text::push_json_string(out, bytes);
        Ok(())
    }
}
