//! What the three signals share: resource, scope, times, ids, and the bookkeeping of a request.

use arrow_schema::ArrowError;

use crate::buffer::ByteBuffer;
use crate::columns::{Column, Instants, Int32s, Labels, Texts, column_of};
use crate::descriptors::{self, Descriptor, ENTITY_REF, RESOURCE, SCOPE};
use crate::error::{Excess, Fault, Reject};
use crate::fields::{request, resource, resource_records, scope, scope_records};
use crate::finished::{Finished, MakeText};
use crate::limits::Limits;
use crate::repeated::{Constant, Repeated, or_null};
use crate::text;
use crate::value::{Renderer, Value};
use crate::wire::{Cursor, Message};

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// Which of the repeated columns are texts, in schema order after Timestamp and TimestampNanos.
pub(crate) static SHARED_TEXTS: [bool; 11] =
    [true, true, true, true, false, true, true, true, true, false, true];

/// One request while it is read.
pub(crate) struct Request<'a> {
    pub renderer: Renderer<'a>,
    /// Fallback for records without a time, in nanoseconds since the epoch.
    pub received_at: u64,
    pub records: usize,
    pub nested: usize,
    /// Records appended so far.
    pub rows: usize,
    /// How many more groups the request may touch.
    pub groups_left: usize,
    pub repeated_bytes: u64,
    pub rejected: usize,
    pub first_rejects: Vec<Reject>,
    pub undated: usize,
    /// Grows with every resource and scope read by any request of this builder; never 0.
    pub stamp: u64,
    /// Attribute slices of the message being read, reused.
    pub attributes: Vec<&'a [u8]>,
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
    pub fn new(limits: Limits, payload: &'a [u8], received_at: u64, stamp: u64) -> Self {
        Self {
            renderer: Renderer::new(limits, payload),
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
            attributes: Vec::new(),
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

    /// Counts a record before it is read.
    #[inline(always)]
    pub fn count_record(&mut self) -> Result<(), Excess> {
        self.records += 1;
        let limit = self.limits().records;
        if self.records > limit { Err(Excess::Records { limit }) } else { Ok(()) }
    }

    /// Counts an event, link or exemplar.
    #[inline(always)]
    pub fn count_nested(&mut self) -> Result<(), Excess> {
        self.nested += 1;
        let limit = self.limits().nested;
        if self.nested > limit { Err(Excess::Nested { limit }) } else { Ok(()) }
    }

    /// Counts an appended row, and the bytes of the values that it shares with others.
    #[inline(always)]
    pub fn count_row(&mut self, bytes: u64) -> Result<(), Excess> {
        self.rows += 1;
        self.repeated_bytes += bytes;
        let limit = self.limits().repeated_bytes;
        if self.repeated_bytes > limit { Err(Excess::RepeatedBytes { limit }) } else { Ok(()) }
    }

    /// Counts a resource, scope or metric that holds nothing.
    pub fn note_without_records(&mut self, entries: usize) {
        self.renderer.notes.without_records += u64::from(entries == 0);
    }

    /// Appends a text made valid UTF-8; an empty one is null.
    #[inline(always)]
    pub fn push_label_or_null(&mut self, column: &mut Labels, bytes: &[u8]) {
        if bytes.is_empty() { column.push_null() } else { self.push_label(column, bytes) }
    }

    /// Appends a text made valid UTF-8.
    #[inline]
    pub fn push_label(&mut self, column: &mut Labels, bytes: &[u8]) {
        if !column.push(bytes) {
            let mut text = ByteBuffer::default();
            self.renderer.push_text(&mut text, bytes);
            column.push(text.as_slice());
        }
    }

    /// Counts a record that is not stored. Its bytes must be well-formed all the same.
    #[cold]
    pub fn reject(
        &mut self,
        reject: Reject,
        record: &[u8],
        descriptor: &Descriptor,
    ) -> Result<(), Fault> {
        descriptors::check(descriptor, record, self.limits().depth)
            .map_err(|broken| broken.fault)?;
        self.rejected += 1;
        if self.first_rejects.len() < MAX_EXPLAINED {
            self.first_rejects.push(reject);
        }
        Ok(())
    }
}

/// A list of records below one resource or scope, before its parts are read.
///
/// "Field order is free (a scope may come after its records)": one walk over the field headers
/// finds what stands beside the records, a second one reads the records.
pub(crate) struct Layer<'a> {
    /// The resource or the scope.
    pub owner: Message<'a>,
    pub schema_url: &'a [u8],
    /// How many entries the list has.
    pub entries: usize,
}

impl<'a> Layer<'a> {
    pub fn read(renderer: &mut Renderer, bytes: &'a [u8]) -> Result<Self, Fault> {
        // ResourceLogs, ScopeLogs and their siblings number these three fields alike.
        const _: () = assert!(
            resource_records::RESOURCE == scope_records::SCOPE
                && resource_records::SCOPES == scope_records::RECORDS
                && resource_records::SCHEMA_URL == scope_records::SCHEMA_URL
        );
        let mut layer = Self { owner: Message::default(), schema_url: &[], entries: 0 };
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                scope_records::RECORDS => {
                    cursor.read_len()?;
                    layer.entries += 1;
                }
                scope_records::SCOPE => layer.owner.add(cursor.read_len()?),
                scope_records::SCHEMA_URL => layer.schema_url = cursor.read_len()?,
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok(layer)
    }
}

/// The entries of one repeated message field, everything else passed over (and counted before).
pub(crate) struct Entries<'a> {
    cursor: Cursor<'a>,
    tag: u32,
}

impl<'a> Entries<'a> {
    /// The Resource… messages of a request, whose unknown fields nobody else counts.
    pub fn of_request(renderer: &mut Renderer, payload: &'a [u8]) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(payload);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                request::RESOURCES => drop(cursor.read_len()?),
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok(Self::new(payload, request::RESOURCES))
    }

    /// The entries of a layer that `Layer::read` has gone over.
    pub fn of_layer(bytes: &'a [u8]) -> Self {
        Self::new(bytes, scope_records::RECORDS)
    }

    pub fn new(bytes: &'a [u8], tag: u32) -> Self {
        Self { cursor: Cursor::new(bytes), tag }
    }

    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        while let Some(tag) = self.cursor.next_tag()? {
            if tag == self.tag {
                return self.cursor.read_len().map(Some);
            }
            self.cursor.skip(tag)?;
        }
        Ok(None)
    }
}

/// The rendered values of one resource or scope; reused from one to the next.
#[derive(Default)]
pub(crate) struct Origin {
    /// service.name, service.namespace, service.instance.id; name and version for a scope.
    names: [ByteBuffer; 3],
    attributes: ByteBuffer,
    dropped: u32,
    schema_url: ByteBuffer,
    /// Why the records below are rejected.
    pub reject: Option<Reject>,
}

const SERVICE_KEYS: [&[u8]; 3] = [b"service.name", b"service.namespace", b"service.instance.id"];

impl Origin {
    fn clear(&mut self) {
        self.names.iter_mut().for_each(ByteBuffer::clear);
        self.attributes.clear();
        self.dropped = 0;
        self.schema_url.clear();
        self.reject = None;
    }

    /// The service that the resource names; valid UTF-8 by construction.
    pub fn service(&self) -> Option<&str> {
        std::str::from_utf8(self.names[0].as_slice()).ok().filter(|name| !name.is_empty())
    }

    pub fn read_resource<'a>(
        &mut self,
        request: &mut Request<'a>,
        layer: &Layer<'a>,
    ) -> Result<(), Fault> {
        self.clear();
        let renderer = &mut request.renderer;
        let mut attributes = std::mem::take(&mut request.attributes);
        attributes.clear();
        let mut owner: &[u8] = &[];
        for part in layer.owner.parts() {
            owner = part;
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    resource::ATTRIBUTES => attributes.push(cursor.read_len()?),
                    resource::DROPPED_ATTRIBUTES_COUNT => {
                        self.dropped = cursor.read_varint()? as u32
                    }
                    resource::ENTITY_REFS => {
                        let bytes = cursor.read_len()?;
                        descriptors::check(&ENTITY_REF, bytes, 0).map_err(|broken| broken.fault)?;
                        renderer.notes.entity_refs += 1;
                    }
                    _ => renderer.skip_unknown(&mut cursor, tag)?,
                }
            }
        }
        renderer.push_text(&mut self.schema_url, layer.schema_url);
        self.render(renderer, layer, &RESOURCE, owner, &attributes)?;
        if self.reject.is_none() {
            self.read_service(renderer, &attributes)?;
        }
        request.attributes = attributes;
        Ok(())
    }

    pub fn read_scope<'a>(
        &mut self,
        request: &mut Request<'a>,
        layer: &Layer<'a>,
    ) -> Result<(), Fault> {
        self.clear();
        let renderer = &mut request.renderer;
        let mut attributes = std::mem::take(&mut request.attributes);
        attributes.clear();
        let (mut name, mut version): (&[u8], &[u8]) = (&[], &[]);
        let mut owner: &[u8] = &[];
        for part in layer.owner.parts() {
            owner = part;
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    scope::NAME => name = cursor.read_len()?,
                    scope::VERSION => version = cursor.read_len()?,
                    scope::ATTRIBUTES => attributes.push(cursor.read_len()?),
                    scope::DROPPED_ATTRIBUTES_COUNT => self.dropped = cursor.read_varint()? as u32,
                    _ => renderer.skip_unknown(&mut cursor, tag)?,
                }
            }
        }
        renderer.push_text(&mut self.names[0], name);
        renderer.push_text(&mut self.names[1], version);
        renderer.push_text(&mut self.schema_url, layer.schema_url);
        self.render(renderer, layer, &SCOPE, owner, &attributes)?;
        request.attributes = attributes;
        Ok(())
    }

    /// Renders the attributes; what does not fit is kept as the reason to reject the records.
    fn render(
        &mut self,
        renderer: &mut Renderer,
        layer: &Layer<'_>,
        descriptor: &Descriptor,
        owner: &[u8],
        attributes: &[&[u8]],
    ) -> Result<(), Fault> {
        match renderer.push_attributes(&mut self.attributes, owner, attributes) {
            Err(fault) => {
                self.reject = Some(fault.into_reject()?);
                // Not rendered to the end, so not read to the end: what is left must be well-formed.
                for part in layer.owner.parts() {
                    descriptors::check(descriptor, part, renderer.limits.depth)
                        .map_err(|broken| broken.fault)?;
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// "the first resource attribute with the key; null when it is empty or not a string".
    fn read_service(&mut self, renderer: &mut Renderer, attributes: &[&[u8]]) -> Result<(), Fault> {
        let notes = renderer.notes;
        let mut found = [false; 3];
        for bytes in attributes {
            let (key, value) = renderer.read_key_value(bytes)?;
            let Some(which) = SERVICE_KEYS.iter().position(|&wanted| wanted == key) else {
                continue;
            };
            if std::mem::replace(&mut found[which], true) {
                continue;
            }
            if let Value::String(name) = renderer.read_any_value(&value, 0)? {
                text::push_text(&mut self.names[which], name);
            }
        }
        // A second reading of the same attributes: what it met has been counted.
        renderer.notes = notes;
        Ok(())
    }
}

/// Sets the shared columns of a group to a resource's and a scope's values.
pub(crate) fn set_shared(shared: &mut Repeated, resource: &Origin, scope: &Origin) {
    shared.set(&[
        or_null(resource.names[0].as_slice()),
        or_null(resource.names[1].as_slice()),
        or_null(resource.names[2].as_slice()),
        Constant::Text(Some(resource.attributes.as_slice())),
        Constant::Int(i64::from(resource.dropped)),
        or_null(resource.schema_url.as_slice()),
        or_null(scope.names[0].as_slice()),
        or_null(scope.names[1].as_slice()),
        Constant::Text(Some(scope.attributes.as_slice())),
        Constant::Int(i64::from(scope.dropped)),
        or_null(scope.schema_url.as_slice()),
    ]);
}

/// The hour of a time in microseconds, as a range of microseconds.
pub(crate) fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_HOUR)
}

/// Nanoseconds since the epoch as microseconds and the nanoseconds within the last one.
#[inline(always)]
pub(crate) fn split_nanos(nanos: u64) -> (i64, i32) {
    // "Every u64 of nanoseconds fits in µs."
    ((nanos / 1000) as i64, (nanos % 1000) as i32)
}

/// The `Timestamp` and `TimestampNanos` of one row, and the hour they belong to.
#[derive(Clone, Copy)]
pub(crate) struct RowTime {
    micros: i64,
    nanos: Option<i32>,
}

impl RowTime {
    /// A time that OTLP gave; `fallback` stands in for 0, without nanoseconds.
    #[inline(always)]
    pub fn new(time: u64, fallback: u64) -> Self {
        if time == 0 {
            Self { micros: split_nanos(fallback).0, nanos: None }
        } else {
            let (micros, nanos) = split_nanos(time);
            Self { micros, nanos: Some(nanos) }
        }
    }

    #[inline(always)]
    pub fn hour(self) -> i64 {
        hour_of(self.micros)
    }
}

/// A time column and its nanoseconds.
#[derive(Default)]
pub(crate) struct Times {
    pub micros: Instants,
    pub nanos: Int32s,
}

column_of!(Times { micros, nanos });

impl Times {
    #[inline(always)]
    pub fn push_row_time(&mut self, time: RowTime) {
        self.micros.push(time.micros);
        self.nanos.push_option(time.nanos);
    }

    /// "A time of 0 in OTLP means not given and is null."
    #[inline(always)]
    pub fn push(&mut self, nanos: u64) {
        let time = (nanos != 0).then(|| split_nanos(nanos));
        self.micros.push_option(time.map(|t| t.0));
        self.nanos.push_option(time.map(|t| t.1));
    }
}

/// Bytes of an id's hex digits.
pub(crate) const TRACE_ID_TEXT: usize = 32;
pub(crate) const SPAN_ID_TEXT: usize = 16;

/// Appends an id: "lower-case hex of the bytes, whatever their length; null when empty".
#[inline(always)]
pub(crate) fn push_id(column: &mut Texts, id: &[u8]) {
    text::push_hex(&mut column.data, id);
    column.end_row_or_null();
}
