//! JSON text -> protobuf bytes of the same export request, in one pass.
//!
//! The readers of protobuf are the one door to the tables, so JSON and protobuf of one request
//! give the same rows by construction. Here is what JSON has and protobuf does not: null, keys
//! given twice, values of a wrong type. Records that are not what OTLP says are left out here,
//! with their count and reason; limits of single records are the protobuf readers' business.

use super::fault::{Fault, Finding, Result, Trouble};
use super::output::{begin, end, push_len, push_varint};
use super::reader::Reader;
use super::strings::unescaped;
use crate::columns::ByteBuffer;
use crate::error::Misfit;
use crate::fields::{ANY_VALUE, Descriptor, Field, KEY_WORDS, Kind};
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
    pub limits: &'t Limits,
    pub tally: Tally,
    pub marks: Vec<Mark>,
    /// What was left out, in the order of the text; the first few.
    pub explained: Vec<Finding>,
    /// The members of all open objects, the innermost object's last.
    slots: Vec<Slot>,
    /// How many lists of resources, scopes, metrics and records are open.
    pub level: usize,
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
    pub(super) fn pass_over(&mut self, start: usize) -> Result<()> {
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

    #[inline]
    pub(super) fn read_submessage(
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
