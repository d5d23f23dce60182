//! JSON text -> protobuf bytes of the same export request, in one pass.
//!
//! The readers of protobuf are the one door to the tables, so JSON and protobuf of one request
//! give the same rows by construction. Here is what JSON has and protobuf does not: null, keys
//! given twice, values of a wrong type. Records that are not what OTLP says are left out here,
//! with their count and reason; limits of single records are the protobuf readers' business.

use super::bytes::{describe_id, from_base64, from_hex};
use super::fault::{Fault, Finding, Result, Trouble};
use super::numbers::{exact_integer, nearest_double, plain_digits, short_double};
use super::output::{begin, end, push_len, push_varint};
use super::reader::{Reader, number_len};
use super::strings::unescaped;
use super::usual::push_usual_key_value;
use crate::columns::ByteBuffer;
use crate::error::{Excess, Misfit};
use crate::fields::{ANY_VALUE, Descriptor, Field, KEY_VALUE, KEY_WORDS, Kind};
use crate::limits::Limits;
use crate::wire::VARINT;

/// How many findings a message explains.
pub(crate) const MAX_EXPLAINED: usize = 3;

/// Stands for an unknown key, so that it is counted where unknown fields are: a field number
/// that OTLP does not use.
const UNKNOWN_FIELD: u32 = 2047 << 3 | VARINT;

/// How many unknown keys of a request are remembered, of which the first may be told.
const MOST_UNKNOWN: usize = 64;

/// What was counted; all of it can be taken back. Each takes bytes of a payload below 4 GiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Records, those left out included.
    pub records: u32,
    /// Records left out.
    pub rejected: u32,
    /// Resources, scopes and metrics left out that had no records to count.
    pub empty_groups: u32,
    /// Ids given in base64.
    pub base64_ids: u32,
    /// Values that have members, of which none is known.
    pub unknown_values: u32,
}

impl Tally {
    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        // Without a branch for each of them: this is asked of every member.
        (self.records ^ other.records)
            | (self.rejected ^ other.rejected)
            | (self.empty_groups ^ other.empty_groups)
            | (self.base64_ids ^ other.base64_ids)
            | (self.unknown_values ^ other.unknown_values)
            == 0
    }

    fn since(self, before: Self) -> Self {
        Self {
            records: self.records - before.records,
            rejected: self.rejected - before.rejected,
            empty_groups: self.empty_groups - before.empty_groups,
            base64_ids: self.base64_ids - before.base64_ids,
            unknown_values: self.unknown_values - before.unknown_values,
        }
    }
}

/// Where a kept resource, scope, metric or record begins, in the bytes and in the text.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub out: usize,
    pub text: usize,
    /// How many lists of resources, scopes, metrics and records it stands in.
    pub level: usize,
}

/// What one member of an object left behind: to be taken back when its key comes again.
///
/// Payloads, and what becomes of them, are far below 4 GiB (`Limits::MAX_PAYLOAD_BYTES`).
struct Slot {
    out: (u32, u32),
    text: (u32, u32),
    /// Its field's bit.
    bit: u32,
    /// What hardly any member has.
    more: Option<Box<More>>,
}

struct More {
    misfit: Option<Finding>,
    /// What was counted in it.
    tally: Tally,
}

pub(super) struct Transcoder<'a, 't> {
    pub reader: Reader<'a>,
    pub out: &'t mut ByteBuffer,
    limits: &'t Limits,
    pub tally: Tally,
    pub marks: Vec<Mark>,
    /// What was left out, in the order of the text; the first few.
    pub explained: Vec<Finding>,
    /// The members of all open objects, the innermost object's last.
    slots: Vec<Slot>,
    level: usize,
    /// The first keys of the request at hand that OTLP does not know: the second is told where
    /// the first is in a member that is given again.
    unknown: Vec<usize>,
    /// The same of the first request that had no records.
    pub unknown_instead: Option<usize>,
}

impl<'a, 't> Transcoder<'a, 't> {
    pub fn new(text: &'a [u8], out: &'t mut ByteBuffer, limits: &'t Limits) -> Self {
        Self {
            reader: Reader { text, at: 0 },
            out,
            limits,
            tally: Tally::default(),
            marks: Vec::new(),
            explained: Vec::new(),
            slots: Vec::new(),
            level: 0,
            unknown: Vec::new(),
            unknown_instead: None,
        }
    }

    /// Reads the export request that the reader is at.
    pub fn read_request(&mut self, message: &'static Descriptor) -> Result<()> {
        let records = self.tally.records;
        self.unknown.clear();
        // "Whose top level is wrong": nothing below it can be told from nothing at all.
        self.read_message(message, 0).map_err(|fault| match *fault.0 {
            Trouble::Misfit(finding) => Fault(Box::new(Trouble::Malformed(finding))),
            _ => fault,
        })?;
        if self.tally.records == records && self.unknown_instead.is_none() {
            self.unknown_instead = self.unknown.first().copied();
        }
        Ok(())
    }

    /// Reads the object at hand, which stands inside `depth` arrays and lists; writes its fields.
    ///
    /// On a misfit the whole object has been read all the same, unless it is none.
    fn read_message(&mut self, message: &'static Descriptor, depth: usize) -> Result<()> {
        if self.reader.peek() != b'{' {
            return Err(self.reader.misfit("an object"));
        }
        let depth = depth + usize::from(message.nests);
        if depth > self.limits.depth {
            return Err(self.too_deep());
        }
        self.reader.at += 1;
        if self.reader.take(b'}') {
            return Ok(());
        }
        let base = self.slots.len();
        let mut members = Members { seen: 0, next: 0, misfits: 0 };
        let mut unknown = None;
        loop {
            if self.reader.peek() != b'"' {
                return Err(self.reader.unexpected("a key in quotes"));
            }
            let key_at = self.reader.at;
            match self.read_key(message, members.next)? {
                Some((index, field)) => {
                    members.next = index + 1;
                    self.read_member(field, base, &mut members, depth)?;
                }
                None => self.read_unknown(key_at, &mut unknown)?,
            }
            match self.reader.peek() {
                b',' => self.reader.at += 1,
                b'}' => break,
                _ => return Err(self.reader.unexpected("a comma or a closing brace")),
            }
        }
        self.reader.at += 1;
        if members.misfits > 0 {
            return Err(self.first_misfit(base));
        }
        if let Some(unknown) = unknown
            && members.seen == 0
        {
            self.note_only_unknown(message, unknown, depth)?;
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// An object has members, and none that OTLP has there.
    #[cold]
    fn note_only_unknown(
        &mut self,
        message: &'static Descriptor,
        unknown: usize,
        depth: usize,
    ) -> Result<()> {
        if std::ptr::eq(message, &ANY_VALUE) {
            self.tally.unknown_values += 1;
        }
        if depth == 0
            && let [field] = message.fields
            && message.is_request()
        {
            let found = name_of(self.reader.text, unknown);
            let message = format!("found {found}, expected {}", field.name());
            return Err(Fault::misfit_message(unknown, message));
        }
        Ok(())
    }

    #[cold]
    fn too_deep(&self) -> Fault {
        Fault::misfit_message(self.reader.at, Misfit::Depth.describe(self.limits))
    }

    /// Reads a key and its colon; gives the field and its index, sought from `next` on.
    #[inline(always)]
    fn read_key(
        &mut self,
        message: &'static Descriptor,
        next: usize,
    ) -> Result<Option<(usize, &'static Field)>> {
        if let Some(text) = self.reader.rest().first_chunk::<{ 8 * KEY_WORDS }>() {
            let text = text.as_chunks::<8>().0;
            let text = std::array::from_fn(|i| u64::from_le_bytes(text[i]));
            let (before, from_next) = message.fields.split_at(next);
            for (at, field) in from_next.iter().enumerate() {
                if field.begins(text) {
                    self.reader.at += field.quoted.len();
                    self.reader.read_colon()?;
                    return Ok(Some((next + at, field)));
                }
            }
            for (at, field) in before.iter().enumerate() {
                if field.begins(text) {
                    self.reader.at += field.quoted.len();
                    self.reader.read_colon()?;
                    return Ok(Some((at, field)));
                }
            }
        }
        self.read_other_key(message)
    }

    #[inline(never)]
    fn read_other_key(
        &mut self,
        message: &'static Descriptor,
    ) -> Result<Option<(usize, &'static Field)>> {
        let key = self.reader.read_string()?;
        self.reader.read_colon()?;
        let found = message.find(&unescaped(key));
        Ok(found.map(|index| (index, &message.fields[index])))
    }

    /// "Ignored at any depth, however large their value"; and counted.
    #[inline(never)]
    fn read_unknown(&mut self, key_at: usize, first: &mut Option<usize>) -> Result<()> {
        let is_null = self.reader.peek() == b'n';
        self.reader.skip_value()?;
        if !is_null {
            first.get_or_insert(key_at);
            if self.unknown.len() < MOST_UNKNOWN {
                self.unknown.push(key_at);
            }
            push_varint(self.out, u64::from(UNKNOWN_FIELD));
            self.out.push(0);
        }
        Ok(())
    }

    #[inline(always)]
    fn read_member(
        &mut self,
        field: &'static Field,
        base: usize,
        members: &mut Members,
        depth: usize,
    ) -> Result<()> {
        // "A null member is as if it were not written (also a oneof member after one that is set)."
        if self.reader.peek() == b'n' {
            return self.reader.read_literal(b"null");
        }
        if members.seen & field.displaces != 0 {
            self.take_back(base, field.displaces, members);
        }
        members.seen |= field.bit;
        let (out, text, tally) = (self.out.len(), self.reader.at, self.tally);
        let more = match self.read_field(field, depth) {
            Ok(()) if self.tally.is(&tally) => None,
            read => self.read_more(read, out, text, tally, members)?,
        };
        self.slots.push(Slot {
            out: (out as u32, self.out.len() as u32),
            text: (text as u32, self.reader.at as u32),
            bit: field.bit,
            more,
        });
        Ok(())
    }

    /// What is to be kept of a member besides its place.
    #[cold]
    #[inline(never)]
    fn read_more(
        &mut self,
        read: Result<()>,
        out: usize,
        text: usize,
        before: Tally,
        members: &mut Members,
    ) -> Result<Option<Box<More>>> {
        let misfit = match read {
            Ok(()) => None,
            Err(fault) => {
                members.misfits += 1;
                Some(self.note_misfit(fault, out, text)?)
            }
        };
        Ok(Some(Box::new(More { misfit, tally: self.tally.since(before) })))
    }

    /// Keeps a misfit until its object ends; passes over its value, if that is not done yet.
    fn note_misfit(&mut self, fault: Fault, out: usize, text: usize) -> Result<Finding> {
        let finding = fault.into_misfit()?;
        self.out.truncate(out);
        self.pass_over(text)?;
        Ok(finding)
    }

    /// Passes over the value that begins at `start`, if the reader is still there.
    fn pass_over(&mut self, start: usize) -> Result<()> {
        if self.reader.at == start { self.reader.skip_value() } else { Ok(()) }
    }

    /// The misfit of an object that ends: that of its first member with one.
    #[cold]
    #[inline(never)]
    fn first_misfit(&mut self, base: usize) -> Fault {
        let misfit = self.slots.drain(base..).find_map(|slot| slot.more?.misfit);
        // There is one, for the members have been counted.
        misfit.map_or_else(
            || Fault::misfit(self.reader.at, "an object that does not fit", "one that does"),
            |finding| Fault(Box::new(Trouble::Misfit(finding))),
        )
    }

    /// "Duplicate object key: the last one counts"; "oneof given twice: the last one counts".
    ///
    /// Takes out what the earlier member left. What stands behind it moves: a field moves at
    /// most once in front of any other, for from then on it stands behind it.
    #[cold]
    #[inline(never)]
    fn take_back(&mut self, base: usize, displaced: u32, members: &mut Members) {
        let found = self.slots[base..].iter().position(|slot| displaced & slot.bit != 0);
        let Some(found) = found else { return };
        let slot = self.slots.remove(base + found);
        members.seen &= !slot.bit;
        let (start, end) = slot.out;
        self.out.remove(start as usize..end as usize);
        for later in &mut self.slots[base + found..] {
            later.out = (later.out.0 - (end - start), later.out.1 - (end - start));
        }
        // Marks are in order, and those of what stands before stay.
        let (start, end) = (start as usize, end as usize);
        let inside = self.marks.partition_point(|mark| mark.out < start);
        let behind = self.marks.partition_point(|mark| mark.out < end);
        self.marks.drain(inside..behind);
        for later in &mut self.marks[inside..] {
            later.out -= end - start;
        }
        let text = slot.text.0 as usize..slot.text.1 as usize;
        self.unknown.retain(|at| !text.contains(at));
        if let Some(more) = slot.more {
            members.misfits -= usize::from(more.misfit.is_some());
            self.explained.retain(|finding| !text.contains(&finding.at));
            self.tally = self.tally.since(more.tally);
        }
    }

    /// Reads the value of a field and writes both; the reader is past white space.
    #[inline(always)]
    fn read_field(&mut self, field: &'static Field, depth: usize) -> Result<()> {
        match field.kind {
            Kind::Text => self.read_text(field.tag),
            Kind::Fixed64 => {
                let value = self.read_integer(0, u64::MAX.into())? as u64;
                self.push_fixed64(field.tag, value);
                Ok(())
            }
            Kind::Message(message) | Kind::Old(message) => {
                self.read_submessage(field.tag, message, depth)
            }
            Kind::Messages(message) => self.read_messages(field.tag, message, depth),
            Kind::Enum(names) => self.read_enum(field.tag, names),
            Kind::Id(len) => self.read_id(field.tag, len),
            Kind::Double => {
                let value = self.read_double()?;
                self.push_fixed64(field.tag, value.to_bits());
                Ok(())
            }
            Kind::Int64 => {
                let value = self.read_integer(i64::MIN.into(), i64::MAX.into())?;
                self.push_varint_field(field.tag, value as u64);
                Ok(())
            }
            _ => self.read_rare_field(field, depth),
        }
    }

    #[inline(never)]
    fn read_rare_field(&mut self, field: &'static Field, depth: usize) -> Result<()> {
        let tag = field.tag;
        match field.kind {
            Kind::Records(message) => self.read_records(tag, message),
            Kind::Groups(message) => self.read_groups(tag, message),
            Kind::Bool => self.read_bool(tag),
            Kind::Bytes => self.read_bytes(tag),
            Kind::Sfixed64 => {
                let value = self.read_integer(i64::MIN.into(), i64::MAX.into())?;
                self.push_fixed64(tag, value as u64);
                Ok(())
            }
            Kind::Fixed32 => {
                let value = self.read_integer(0, u32::MAX.into())? as u32;
                push_varint(self.out, u64::from(tag));
                self.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            Kind::Uint32 => {
                let value = self.read_integer(0, u32::MAX.into())?;
                self.push_varint_field(tag, value as u64);
                Ok(())
            }
            Kind::Int32 => {
                let value = self.read_integer(i32::MIN.into(), i32::MAX.into())?;
                self.push_varint_field(tag, value as u64);
                Ok(())
            }
            Kind::Sint32 => {
                let value = self.read_integer(i32::MIN.into(), i32::MAX.into())? as i32;
                self.push_varint_field(tag, u64::from((value << 1 ^ value >> 31) as u32));
                Ok(())
            }
            Kind::Texts => self.read_list(|this| this.read_text(tag)),
            Kind::Labels => self.read_list(|this| {
                this.reader.skip_value()?;
                push_len(this.out, tag, &[]);
                Ok(())
            }),
            Kind::Fixed64s => self.read_packed(tag, |this| {
                let value = this.read_integer(0, u64::MAX.into())? as u64;
                this.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }),
            Kind::Doubles => self.read_packed(tag, |this| {
                let value = this.read_double()?;
                this.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }),
            Kind::Uint64s => self.read_packed(tag, |this| {
                let value = this.read_integer(0, u64::MAX.into())? as u64;
                push_varint(this.out, value);
                Ok(())
            }),
            // The usual kinds have been dealt with.
            _ => self.read_field(field, depth),
        }
    }

    // Messages in messages ----------------------------------------------------------------

    #[inline]
    fn read_submessage(
        &mut self,
        tag: u32,
        message: &'static Descriptor,
        depth: usize,
    ) -> Result<()> {
        let begun = begin(self.out, tag, message.length_bytes);
        self.read_message(message, depth)?;
        end(self.out, begun);
        Ok(())
    }

    fn read_messages(
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
    fn read_list(&mut self, read_item: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
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

    fn read_packed(&mut self, tag: u32, read_item: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let begun = begin(self.out, tag, 1);
        self.read_list(|this| {
            this.check_room()?;
            read_item(this)
        })?;
        end(self.out, begun);
        Ok(())
    }

    /// Reads log records, spans or data points. A bad one is left out and counted.
    fn read_records(&mut self, tag: u32, message: &'static Descriptor) -> Result<()> {
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
    fn read_groups(&mut self, tag: u32, message: &'static Descriptor) -> Result<()> {
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

    // Scalars -----------------------------------------------------------------------------

    #[inline(always)]
    fn push_varint_field(&mut self, tag: u32, value: u64) {
        push_varint(self.out, u64::from(tag));
        push_varint(self.out, value);
    }

    #[inline(always)]
    fn push_fixed64(&mut self, tag: u32, value: u64) {
        push_varint(self.out, u64::from(tag));
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn read_text(&mut self, tag: u32) -> Result<()> {
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("text"));
        }
        let raw = self.reader.read_string()?;
        if raw.is_escaped {
            push_len(self.out, tag, &unescaped(raw));
        } else {
            push_len(self.out, tag, raw.bytes);
        }
        Ok(())
    }

    /// Reads an integer from `least` to `most`: a number, or a number in quotes.
    #[inline(always)]
    fn read_integer(&mut self, least: i128, most: i128) -> Result<i128> {
        // Digits, in quotes or not: the usual spellings.
        let start = self.reader.at;
        let quote = usize::from(self.reader.byte() == b'"');
        let digits = self.reader.text.get(start + quote..).and_then(plain_digits);
        if let Some((value, len)) = digits
            && i128::from(value) <= most
            && (quote == 0 || self.reader.text.get(start + 1 + len) == Some(&b'"'))
        {
            self.reader.at += len + 2 * quote;
            return Ok(i128::from(value));
        }
        self.read_any_integer(start, least, most)
    }

    #[inline(never)]
    fn read_any_integer(&mut self, start: usize, least: i128, most: i128) -> Result<i128> {
        const EXPECTED: &str = "an integer";
        let is_text = self.reader.byte() == b'"';
        let Some(text) = self.read_number_or_text(EXPECTED)? else {
            return Err(self.restart(start, "text that is no number", EXPECTED));
        };
        let found = if is_text { "a number in text" } else { "a number" };
        match exact_integer(&text) {
            Some(value) if (least..=most).contains(&value) => Ok(value),
            _ => {
                self.reader.at = start;
                let message = format!("found {found}, expected an integer from {least} to {most}");
                Err(Fault::misfit_message(start, message))
            }
        }
    }

    /// The text of a number that stands there as such or in quotes; `None` if those hold another.
    fn read_number_or_text(
        &mut self,
        expected: &'static str,
    ) -> Result<Option<std::borrow::Cow<'a, [u8]>>> {
        match self.reader.peek() {
            b'"' => {
                let text = unescaped(self.reader.read_string()?);
                Ok((number_len(&text) == Some(text.len())).then_some(text))
            }
            b'-' | b'0'..=b'9' => self.reader.read_number().map(|text| Some(text.into())),
            _ => Err(self.reader.misfit(expected)),
        }
    }

    /// A misfit of the value that began at `start`, where the reader goes back to.
    #[cold]
    #[inline(never)]
    fn restart(&mut self, start: usize, found: &'static str, expected: &'static str) -> Fault {
        self.reader.at = start;
        Fault::misfit(start, found, expected)
    }

    #[inline]
    fn read_double(&mut self) -> Result<f64> {
        const EXPECTED: &str = "a number";
        if let Some((value, len)) = short_double(self.reader.rest()) {
            self.reader.at += len;
            return Ok(value);
        }
        let start = self.reader.at;
        if self.reader.peek() == b'"' {
            let raw = self.reader.read_string()?;
            let text = unescaped(raw);
            match text.as_ref() {
                b"NaN" => return Ok(f64::NAN),
                b"Infinity" => return Ok(f64::INFINITY),
                b"-Infinity" => return Ok(f64::NEG_INFINITY),
                _ => self.reader.at = start,
            }
        }
        let Some(text) = self.read_number_or_text(EXPECTED)? else {
            return Err(self.restart(start, "text that is no number", EXPECTED));
        };
        match nearest_double(&text) {
            Some(value) => Ok(value),
            None => Err(self.restart(start, "a number beyond a double's range", "one within it")),
        }
    }

    fn read_bool(&mut self, tag: u32) -> Result<()> {
        let value = match self.reader.peek() {
            b't' => {
                self.reader.read_literal(b"true")?;
                true
            }
            b'f' => {
                self.reader.read_literal(b"false")?;
                false
            }
            _ => return Err(self.reader.misfit("true or false")),
        };
        self.push_varint_field(tag, u64::from(value));
        Ok(())
    }

    /// "Integers; also integer strings and the known names; an unknown name rejects the record."
    fn read_enum(&mut self, tag: u32, names: &[&str]) -> Result<()> {
        let start = self.reader.at;
        let value = match self.reader.byte() {
            b'"' => {
                let text = unescaped(self.reader.read_string()?);
                match names.iter().position(|name| name.as_bytes() == text.as_ref()) {
                    Some(value) => value as i128,
                    None if number_len(&text) == Some(text.len()) => {
                        self.reader.at = start;
                        self.read_any_integer(start, i32::MIN.into(), i32::MAX.into())?
                    }
                    None => {
                        let expected = "a number or a name of this enum";
                        return Err(self.restart(start, "an unknown name", expected));
                    }
                }
            }
            _ => self.read_integer(i32::MIN.into(), i32::MAX.into())?,
        };
        // "Negative enum values are sign-extended to 64 bits" on the wire.
        self.push_varint_field(tag, value as u64);
        Ok(())
    }

    fn read_bytes(&mut self, tag: u32) -> Result<()> {
        let start = self.reader.at;
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("base64 text"));
        }
        let text = unescaped(self.reader.read_string()?);
        match from_base64(&text) {
            Some(bytes) => {
                push_len(self.out, tag, &bytes);
                Ok(())
            }
            None => Err(self.restart(start, "text that is not base64", "base64 text")),
        }
    }

    /// "Hex, any case; `""` = absent. Base64 only where it is unmistakable."
    fn read_id(&mut self, tag: u32, len: usize) -> Result<()> {
        let start = self.reader.at;
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("hex text"));
        }
        if let Some(text) = self.reader.rest().get(1..2 * len + 2)
            && let Some((b'"', digits)) = text.split_last()
        {
            // As long as an id should be: what is hex digits holds no other quote.
            let to = self.out.spare(len + 2);
            if from_hex(&mut to[2..], digits) {
                to[0] = tag as u8;
                to[1] = len as u8;
                self.out.advance(len + 2);
                self.reader.at += 2 * len + 2;
                return Ok(());
            }
        }
        let raw = self.reader.read_string()?;
        let text = unescaped(raw);
        let bytes = text.len() / 2;
        if text.len().is_multiple_of(2) {
            let before = self.out.len();
            push_varint(self.out, u64::from(tag));
            push_varint(self.out, bytes as u64);
            if from_hex(self.out.spare(bytes), &text) {
                self.out.advance(bytes);
                return Ok(());
            }
            self.out.truncate(before);
        }
        if text.ends_with(b"=")
            && let Some(bytes) = from_base64(&text)
            && bytes.len() == len
        {
            push_len(self.out, tag, &bytes);
            self.tally.base64_ids += 1;
            return Ok(());
        }
        let found = describe_id(&text);
        self.reader.at = start;
        let message = format!("found {found}, expected an id of {} hex digits", 2 * len);
        Err(Fault::misfit_message(start, message))
    }
}

/// A key that OTLP does not know, as far as it can be shown: never more than a short name.
pub(super) fn name_of(text: &[u8], at: usize) -> String {
    const LONGEST: usize = 40;
    let key = Reader { text, at }.read_string().map(unescaped).unwrap_or_default();
    let is_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
    match std::str::from_utf8(&key) {
        Ok(name) if (1..=LONGEST).contains(&name.len()) && key.iter().all(is_name) => {
            name.to_owned()
        }
        _ => format!("a key of {} bytes", key.len()),
    }
}

/// What is known of the members of an object that is open.
struct Members {
    /// The fields that have a slot.
    seen: u32,
    /// Where the next key is looked for first.
    next: usize,
    /// How many of the slots hold a misfit.
    misfits: usize,
}

// The short cut for key-value pairs writes what these two say.
const _: () = assert!(KEY_VALUE.length_bytes == 1 && ANY_VALUE.length_bytes == 1);
