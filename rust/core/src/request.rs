//! One request while it is read: what it may still hold, what was left out of it, and why.
//!
//! Knows counts and limits. Must not know the fields of records: those are the signals' own.

use crate::columns::{ByteBuffer, Labels};
use crate::error::{Excess, Fault, Reject};
use crate::fields::Descriptor;
use crate::limits::Limits;
use crate::owner::Owners;
use crate::renderer::{Memory, Renderer};
use crate::usual::{LONG_ATTRIBUTE, push_usual_key_value, read_usual_attributes};
use crate::well_formed;
use crate::wire::Cursor;

/// One request while it is read.
pub(crate) struct Request<'a> {
    pub renderer: Renderer<'a>,
    /// Fallback for records without a time, in nanoseconds since the epoch.
    pub received_at: u64,
    pub records: usize,
    nested: usize,
    /// Records appended so far.
    pub rows: usize,
    /// How many more groups the request may touch.
    pub groups_left: usize,
    repeated_bytes: u64,
    pub rejected: usize,
    pub first_rejects: Vec<Reject>,
    pub undated: usize,
    /// Grows with every resource, scope and metric read by any request of this builder; never 0.
    pub stamp: u64,
    /// Attributes of the message being read, reused.
    pub attributes: Attributes<'a>,
    /// Where the text of a record's attributes begins.
    attributes_at: usize,
    /// Room for the resource and the scope being read.
    pub owners: Option<Box<Owners>>,
}

/// An attribute list while it is collected: no more of it is kept than a list may have.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    /// How many were rendered when they were met.
    pub rendered: usize,
    /// Those behind them.
    pub list: Vec<&'a [u8]>,
    /// How many there were beyond those.
    beyond: usize,
}

impl<'a> Attributes<'a> {
    pub fn clear(&mut self) {
        self.rendered = 0;
        self.list.clear();
        self.beyond = 0;
    }

    /// What stands before the next one that is rendered.
    #[inline(always)]
    pub fn separator(&self) -> u8 {
        if self.rendered == 0 { b'{' } else { b',' }
    }

    /// How many there were.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.rendered + self.list.len() + self.beyond
    }

    #[inline(always)]
    pub fn push(&mut self, bytes: &'a [u8], limits: &Limits) {
        if self.rendered + self.list.len() < limits.attributes {
            self.list.push(bytes);
        } else {
            self.beyond += 1;
        }
    }
}

/// A point in a request: rows appended and invalid text replaced before it.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    rows: usize,
    replaced_text: u64,
}

/// How many rejects a message explains.
const MAX_EXPLAINED: usize = 3;

impl<'a> Request<'a> {
    /// A request whose rows may take so many bytes of memory.
    pub fn new(
        limits: Limits,
        payload: &'a [u8],
        received_at: u64,
        stamp: u64,
        memory: Memory,
        owners: Option<Box<Owners>>,
    ) -> Self {
        Self {
            renderer: Renderer::new(limits, payload, memory),
            received_at,
            records: 0,
            nested: 0,
            rows: 0,
            groups_left: limits.groups,
            repeated_bytes: 0,
            rejected: 0,
            first_rejects: Vec::new(),
            undated: 0,
            stamp,
            attributes: Attributes::default(),
            attributes_at: 0,
            owners,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.renderer.limits
    }

    /// What has been stored so far; for `forget_unstored_text`.
    pub fn stored(&self) -> Stored {
        Stored { rows: self.rows, replaced_text: self.renderer.notes.replaced_text }
    }

    /// Text that was mended in a resource, scope or metric without a stored record changed
    /// nothing that anybody will read, so nobody is warned of it.
    pub fn forget_unstored_text(&mut self, before: Stored) {
        if self.rows == before.rows {
            self.renderer.notes.replaced_text = before.replaced_text;
        }
    }

    /// Counts a record before it is read, and the bytes that it takes in columns of fixed width.
    #[inline(always)]
    pub fn count_record(&mut self, bytes: usize) -> Result<(), Excess> {
        self.records += 1;
        let limit = self.limits().records;
        if self.records > limit {
            return Err(Excess::Records { limit });
        }
        self.renderer.charge(bytes)
    }

    /// Counts an event, link or exemplar, and the bytes that it takes beside its text.
    #[inline(always)]
    pub fn count_nested(&mut self, bytes: usize) -> Result<(), Excess> {
        self.nested += 1;
        let limit = self.limits().nested;
        if self.nested > limit {
            return Err(Excess::Nested { limit });
        }
        self.renderer.charge(bytes)
    }

    /// Counts an appended row, and the bytes of the values that it shares with others.
    #[inline(always)]
    pub fn count_row(&mut self, bytes: u64) -> Result<(), Excess> {
        self.rows += 1;
        self.repeated_bytes += bytes;
        match self.limits().repeated_bytes {
            Some(limit) if self.repeated_bytes > limit => Err(Excess::RepeatedBytes { limit }),
            Some(_) => Ok(()),
            None => self.renderer.charge(bytes as usize),
        }
    }

    /// Bytes that the values of resources, scopes and metrics take in all rows.
    pub fn repeated_bytes(&self) -> u64 {
        self.repeated_bytes
    }

    /// Begins a record whose attributes go to `out`.
    #[inline(always)]
    pub fn begin_attributes(&mut self, out: &ByteBuffer) {
        self.attributes.clear();
        self.attributes_at = out.len();
    }

    /// Appends an attribute of the record being read, whose tag was just read, and those that
    /// follow it. From the first one on that is not of the usual form they are kept until the
    /// record is read: what is said of them comes after what is said of the record. Of a list
    /// beyond the limit the length alone is kept.
    #[inline(always)]
    pub fn read_attributes(
        &mut self,
        out: &mut ByteBuffer,
        cursor: &mut Cursor<'a>,
        tag: u32,
    ) -> Result<(), Fault> {
        loop {
            let Self { renderer, attributes, .. } = self;
            if attributes.list.is_empty() {
                let window = renderer.window(cursor.rest());
                let most = renderer.limits.attributes - attributes.rendered;
                let separator = attributes.separator();
                let (rendered, is_next) =
                    read_usual_attributes(out, cursor, tag as u8, window, separator, most);
                attributes.rendered += rendered;
                if !is_next {
                    return Ok(());
                }
            }
            let bytes = cursor.read_len()?;
            self.read_other_attribute(out, bytes);
            if !cursor.take_tag(tag) {
                return Ok(());
            }
        }
    }

    /// Appends an attribute that is longer than most, or keeps it: one that is not of the usual
    /// form, too near to the payload's end, behind such a one or beyond the limit.
    #[inline(never)]
    fn read_other_attribute(&mut self, out: &mut ByteBuffer, bytes: &'a [u8]) {
        let Self { renderer, attributes, .. } = self;
        if bytes.len() >= LONG_ATTRIBUTE
            && attributes.list.is_empty()
            && attributes.rendered < renderer.limits.attributes
            && push_usual_key_value(out, attributes.separator(), bytes, renderer.window(bytes))
        {
            attributes.rendered += 1;
        } else {
            attributes.push(bytes, &renderer.limits);
        }
    }

    /// Ends the attributes of a record, which `bytes` are.
    #[inline(always)]
    pub fn end_attributes(&mut self, out: &mut ByteBuffer, bytes: &[u8]) -> Result<(), Fault> {
        self.renderer.end_attributes(out, bytes, &self.attributes, self.attributes_at)
    }

    /// Counts a resource, scope or metric that holds nothing.
    pub fn note_without_records(&mut self, entries: usize) {
        self.renderer.notes.without_records += u64::from(entries == 0);
    }

    /// Appends a text made valid UTF-8; an empty one is null.
    #[inline(always)]
    pub fn push_label_or_null(&mut self, column: &mut Labels, bytes: &[u8]) -> Result<(), Excess> {
        if bytes.is_empty() {
            column.push_null();
            return Ok(());
        }
        self.push_label(column, bytes)
    }

    /// Appends a text made valid UTF-8.
    #[inline(always)]
    pub fn push_label(&mut self, column: &mut Labels, bytes: &[u8]) -> Result<(), Excess> {
        if !column.push(bytes) {
            self.push_mended_label(column, bytes)?;
        }
        self.renderer.charge(bytes.len())
    }

    #[cold]
    fn push_mended_label(&mut self, column: &mut Labels, bytes: &[u8]) -> Result<(), Excess> {
        let mut text = ByteBuffer::default();
        self.renderer.push_text(&mut text, bytes)?;
        column.push(text.as_slice());
        Ok(())
    }

    /// Counts a record that is not stored. Its bytes must be well-formed all the same.
    #[cold]
    pub fn reject(
        &mut self,
        reject: Reject,
        record: &[u8],
        descriptor: &Descriptor,
    ) -> Result<(), Fault> {
        well_formed::check(descriptor, record, self.limits().depth)
            .map_err(|broken| broken.fault)?;
        self.count_reject(reject);
        Ok(())
    }

    /// Counts a record that is not stored, of which nothing has to be well-formed.
    pub fn count_reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.first_rejects.len() < MAX_EXPLAINED {
            self.first_rejects.push(reject);
        }
    }
}
