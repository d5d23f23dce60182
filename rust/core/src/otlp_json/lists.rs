//! Lists: values, packed numbers, and the entries of OTLP, of which a bad one is left out.
//!
//! Knows what a list costs while it is read, and what is counted and told of what it leaves out.
//! Must not know members and their keys (`transcoder`).

use super::fault::{Fault, Result, Trouble};
use super::output::{begin, end};
use super::transcoder::{MAX_EXPLAINED, Mark, Tally, Transcoder};
use super::usual::push_usual_key_value;
use crate::error::Excess;
use crate::fields::{ANY_VALUE, Descriptor, KEY_VALUE};

impl Transcoder<'_, '_> {
    pub(super) fn read_messages(
        &mut self,
        tag: u32,
        message: &'static Descriptor,
        depth: usize,
    ) -> Result<()> {
        let is_key_value = std::ptr::eq(message, &KEY_VALUE);
        self.read_list(|this| {
            if is_key_value && push_usual_key_value(this.out, &mut this.reader, tag) {
                return Ok(());
            }
            this.read_submessage(tag, message, depth)
        })
    }

    /// Reads a list; a misfit in it comes to light when the list has been read to its end.
    #[inline(always)]
    pub(super) fn read_list(&mut self, read_item: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        if self.reader.peek() != b'[' {
            return Err(self.reader.misfit("a list"));
        }
        self.reader.at += 1;
        if self.reader.take(b']') {
            return Ok(());
        }
        let mut misfit = None;
        loop {
            self.reader.peek();
            let start = self.reader.at;
            if misfit.is_some() {
                // The list does not fit, whatever else is in it; but it must be JSON.
                self.reader.skip_value()?;
            } else if let Err(fault) = read_item(self) {
                misfit = Some(fault.into_misfit()?);
                self.pass_over(start)?;
            }
            match self.reader.peek() {
                b',' => self.reader.at += 1,
                b']' => break,
                _ => return Err(self.reader.unexpected("a comma or a closing bracket")),
            }
        }
        self.reader.at += 1;
        match misfit {
            None => Ok(()),
            Some(finding) => Err(Fault(Box::new(Trouble::Misfit(finding)))),
        }
    }

    /// The limit on a payload's bytes holds for the protobuf too: a bucket takes two bytes of text
    /// and eight of those.
    #[inline(always)]
    fn check_room(&self) -> Result<()> {
        let (found, limit) = (self.out.len(), self.limits.payload_bytes);
        if found > limit { Err(Excess::PayloadBytes { found, limit }.into()) } else { Ok(()) }
    }

    pub(super) fn read_packed(
        &mut self,
        tag: u32,
        read_item: impl Fn(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let begun = begin(self.out, tag, 1);
        self.read_list(|this| {
            this.check_room()?;
            read_item(this)
        })?;
        end(self.out, begun);
        Ok(())
    }

    /// Reads log records, spans or data points. A bad one is left out and counted.
    pub(super) fn read_records(&mut self, tag: u32, message: &'static Descriptor) -> Result<()> {
        self.read_entries(tag, message, |this| {
            this.tally.records += 1;
            let limit = this.limits.records;
            if this.tally.records as usize > limit {
                Err(Excess::Records { limit }.into())
            } else {
                Ok(())
            }
        })
    }

    /// Reads resources, scopes or metrics.
    ///
    /// "A bad value in a resource, scope or metric rejects every record below it."
    pub(super) fn read_groups(&mut self, tag: u32, message: &'static Descriptor) -> Result<()> {
        self.read_entries(tag, message, |_| Ok(()))
    }

    #[inline(always)]
    fn read_entries(
        &mut self,
        tag: u32,
        message: &'static Descriptor,
        count: impl Fn(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.level += 1;
        let read = self.read_list(|this| {
            let before = this.tally;
            count(this)?;
            this.check_room()?;
            if this.reader.byte() != b'{' {
                return this.leave_out_other(before);
            }
            let mark = Mark { out: this.out.len(), text: this.reader.at, level: this.level };
            this.marks.push(mark);
            if let Err(fault) = this.read_submessage(tag, message, 0) {
                return this.leave_out(fault, mark, before);
            }
            if this.tally.records == before.records {
                // Nothing will be said of a place without records, and there may be many.
                this.forget_marks(mark);
            }
            Ok(())
        });
        self.level -= 1;
        read
    }

    /// Passes over what stands where an entry belongs and is no object: perhaps one of millions.
    #[cold]
    #[inline(never)]
    fn leave_out_other(&mut self, before: Tally) -> Result<()> {
        if self.explained.len() < MAX_EXPLAINED {
            let finding = self.reader.misfit("an object").into_misfit()?;
            self.explained.push(finding);
        }
        self.reader.skip_value()?;
        let records = self.tally.records - before.records;
        self.tally.rejected += records;
        self.tally.empty_groups += u32::from(records == 0);
        Ok(())
    }

    /// Forgets a mark and those behind it.
    fn forget_marks(&mut self, first: Mark) {
        let kept = self.marks.partition_point(|mark| mark.text < first.text);
        self.marks.truncate(kept);
    }

    /// Takes back a record or a group of records that began at `mark`, and says why.
    #[cold]
    #[inline(never)]
    fn leave_out(&mut self, fault: Fault, mark: Mark, before: Tally) -> Result<()> {
        let finding = fault.into_misfit()?;
        self.pass_over(mark.text)?;
        self.out.truncate(mark.out);
        self.forget_marks(mark);
        let records = self.tally.records - before.records;
        self.tally = Tally {
            records: self.tally.records,
            rejected: before.rejected + records,
            empty_groups: before.empty_groups + u32::from(records == 0),
            ..before
        };
        self.explained.retain(|other| other.at < mark.text);
        if self.explained.len() < MAX_EXPLAINED {
            self.explained.push(finding);
        }
        Ok(())
    }
}

// The short cut for key-value pairs writes what these two say.
const _: () = assert!(KEY_VALUE.length_bytes == 1 && ANY_VALUE.length_bytes == 1);
