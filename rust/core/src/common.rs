//! What the three signals share: resource, scope, times, ids, and the bookkeeping of a request.

use crate::columns::{
    ByteBuffer, Constant, Instants, Int32s, Labels, Repeated, Texts, column_of, or_null,
};
use crate::descriptors::{self, Descriptor, ENTITY_REF, RESOURCE, SCOPE};
use crate::error::{Excess, Fault, Reject};
use crate::fields::{request, resource, resource_records, scope, scope_records};
use crate::limits::Limits;
use crate::text;
use crate::value::{Memory, Renderer, Value};
use crate::wire::{Cursor, Message};

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// Which of a resource's columns are texts, in schema order: from ServiceName on.
static RESOURCE_TEXTS: [bool; 6] = [true, true, true, true, false, true];
/// Which of a scope's columns are texts, in schema order: from ScopeName on.
static SCOPE_TEXTS: [bool; 5] = [true, true, true, false, true];

/// The columns that all tables share but for Timestamp: those of resource and scope.
pub(crate) struct Shared {
    pub resource: Repeated,
    pub scope: Repeated,
}

column_of!(Shared { resource, scope });

impl Default for Shared {
    fn default() -> Self {
        Self { resource: Repeated::new(&RESOURCE_TEXTS), scope: Repeated::new(&SCOPE_TEXTS) }
    }
}

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
    /// Room for the resource and the scope being read.
    pub owners: Option<Box<Owners>>,
}

/// An attribute list while it is collected: no more of it is kept than a list may have.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    pub list: Vec<&'a [u8]>,
    /// How many there were.
    pub count: usize,
}

impl<'a> Attributes<'a> {
    pub fn clear(&mut self) {
        self.list.clear();
        self.count = 0;
    }

    #[inline(always)]
    pub fn push(&mut self, bytes: &'a [u8], limits: &Limits) {
        self.count += 1;
        if self.count <= limits.attributes {
            self.list.push(bytes);
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

    /// Keeps an attribute of the message being read; of a list beyond the limit the length only.
    #[inline(always)]
    pub fn keep_attribute(&mut self, bytes: &'a [u8]) {
        self.attributes.push(bytes, &self.renderer.limits);
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
    #[inline]
    pub fn push_label(&mut self, column: &mut Labels, bytes: &[u8]) -> Result<(), Excess> {
        if !column.push(bytes) {
            let mut text = ByteBuffer::default();
            self.renderer.push_text(&mut text, bytes)?;
            column.push(text.as_slice());
        }
        self.renderer.charge(bytes.len())
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

/// The fields of a Resource… or Scope… message that stand beside its list.
///
/// "Field order is free (a scope may come after its records)": one walk over the field headers
/// finds what stands beside the entries, a second one reads those.
struct Beside<'a> {
    /// The resource or the scope.
    owner: Message<'a>,
    schema_url: &'a [u8],
    /// How many entries the list has.
    entries: usize,
    /// How many of those stand in the list of before 2022.
    libraries: usize,
}

impl<'a> Beside<'a> {
    /// `libraries` is the tag of the list of before 2022, for who has one.
    fn read(
        renderer: &mut Renderer,
        bytes: &'a [u8],
        libraries: Option<u32>,
    ) -> Result<Self, Fault> {
        // ResourceLogs, ScopeLogs and their siblings number these three fields alike.
        const _: () = assert!(
            resource_records::RESOURCE == scope_records::SCOPE
                && resource_records::SCOPES == scope_records::RECORDS
                && resource_records::SCHEMA_URL == scope_records::SCHEMA_URL
        );
        let mut beside =
            Self { owner: Message::default(), schema_url: &[], entries: 0, libraries: 0 };
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                scope_records::RECORDS => {
                    cursor.read_len()?;
                    beside.entries += 1;
                }
                scope_records::SCOPE => renderer.merge(&mut beside.owner, cursor.read_len()?)?,
                scope_records::SCHEMA_URL => beside.schema_url = cursor.read_len()?,
                _ if Some(tag) == libraries => {
                    cursor.read_len()?;
                    beside.entries += 1;
                    beside.libraries += 1;
                }
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok(beside)
    }
}

/// The entries of one repeated message field, everything else passed over (and counted before).
pub(crate) struct Entries<'a> {
    cursor: Cursor<'a>,
    tag: u32,
}

impl<'a> Entries<'a> {
    /// The Resource… messages of a request, whose unknown fields nobody else counts.
    fn of_request(renderer: &mut Renderer, payload: &'a [u8]) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(payload);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                request::RESOURCES => drop(cursor.read_len()?),
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok(Self::new(payload, request::RESOURCES))
    }

    /// The records of a Scope… message.
    pub fn of_scope(bytes: &'a [u8]) -> Self {
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

/// Walks from a request down to its Scope… messages; `read` is given the rendered resource and
/// scope, and the message whose records are theirs.
#[inline(always)]
pub(crate) fn walk<'a>(
    request: &mut Request<'a>,
    payload: &'a [u8],
    mut read: impl FnMut(&mut Request<'a>, &Owner, &Owner, &'a [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut owners = request.owners.take().unwrap_or_default();
    let Owners { resource, scope } = &mut *owners;
    let mut resources = Entries::of_request(&mut request.renderer, payload)?;
    while let Some(bytes) = resources.next()? {
        let before = request.stored();
        let libraries = Some(resource_records::LIBRARIES);
        let beside = Beside::read(&mut request.renderer, bytes, libraries)?;
        resource.read_resource(request, &beside)?;
        request.note_without_records(beside.entries);
        let lists = [resource_records::SCOPES, resource_records::LIBRARIES];
        for list in &lists[..if beside.libraries > 0 { 2 } else { 1 }] {
            let mut scopes = Entries::new(bytes, *list);
            while let Some(bytes) = scopes.next()? {
                let before = request.stored();
                let beside = Beside::read(&mut request.renderer, bytes, None)?;
                scope.read_scope(request, &beside)?;
                request.note_without_records(beside.entries);
                read(request, resource, scope, bytes)?;
                request.forget_unstored_text(before);
            }
        }
        request.forget_unstored_text(before);
    }
    request.owners = Some(owners);
    Ok(())
}

/// The resource and the scope whose records are read, reused from one to the next.
#[derive(Default)]
pub(crate) struct Owners {
    resource: Owner,
    scope: Owner,
}

/// Room for values that is not kept from one request to the next.
const KEPT_OWNERS_BYTES: usize = 64 << 10;

impl Owners {
    /// What may be kept for the next request.
    pub fn idle(self: Box<Self>) -> Option<Box<Self>> {
        (self.memory_bytes() <= KEPT_OWNERS_BYTES).then_some(self)
    }

    pub fn memory_bytes(&self) -> usize {
        self.resource.memory_bytes() + self.scope.memory_bytes()
    }
}

/// A resource or scope, its values rendered; reused from one to the next.
#[derive(Default)]
pub(crate) struct Owner {
    /// service.name, service.namespace, service.instance.id; name and version for a scope.
    names: [ByteBuffer; 3],
    attributes: ByteBuffer,
    dropped: u32,
    schema_url: ByteBuffer,
    /// Why the records below are rejected.
    pub reject: Option<Reject>,
    /// Names these values among all that a builder has read.
    pub stamp: u64,
}

const SERVICE_KEYS: [&[u8]; 3] = [b"service.name", b"service.namespace", b"service.instance.id"];

impl Owner {
    fn clear(&mut self, request: &mut Request<'_>) {
        self.names.iter_mut().for_each(ByteBuffer::clear);
        self.attributes.clear();
        self.dropped = 0;
        self.schema_url.clear();
        self.reject = None;
        request.stamp += 1;
        self.stamp = request.stamp;
    }

    fn memory_bytes(&self) -> usize {
        let texts = self.names.iter().chain([&self.attributes, &self.schema_url]);
        texts.map(ByteBuffer::capacity).sum()
    }

    /// Bytes that the values take where they are stored.
    pub fn num_bytes(&self) -> usize {
        const KEYS: usize = 6 * size_of::<i64>() + size_of::<u64>();
        let texts = self.names.iter().chain([&self.attributes, &self.schema_url]);
        KEYS + texts.map(ByteBuffer::len).sum::<usize>()
    }

    /// The service that the resource names; valid UTF-8 by construction.
    pub fn service(&self) -> Option<&str> {
        std::str::from_utf8(self.names[0].as_slice()).ok().filter(|name| !name.is_empty())
    }

    fn read_resource<'a>(
        &mut self,
        request: &mut Request<'a>,
        beside: &Beside<'a>,
    ) -> Result<(), Fault> {
        self.clear(request);
        let renderer = &mut request.renderer;
        let mut attributes = std::mem::take(&mut request.attributes);
        attributes.clear();
        let mut owner: &[u8] = &[];
        for part in beside.owner.parts() {
            owner = part;
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    resource::ATTRIBUTES => attributes.push(cursor.read_len()?, &renderer.limits),
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
        renderer.push_text(&mut self.schema_url, beside.schema_url)?;
        self.render(renderer, beside, &RESOURCE, owner, &attributes)?;
        if self.reject.is_none() {
            self.read_service(renderer, &attributes.list)?;
        }
        request.attributes = attributes;
        Ok(())
    }

    fn read_scope<'a>(
        &mut self,
        request: &mut Request<'a>,
        beside: &Beside<'a>,
    ) -> Result<(), Fault> {
        self.clear(request);
        let renderer = &mut request.renderer;
        let mut attributes = std::mem::take(&mut request.attributes);
        attributes.clear();
        let (mut name, mut version): (&[u8], &[u8]) = (&[], &[]);
        let mut owner: &[u8] = &[];
        for part in beside.owner.parts() {
            owner = part;
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                match tag {
                    scope::NAME => name = cursor.read_len()?,
                    scope::VERSION => version = cursor.read_len()?,
                    scope::ATTRIBUTES => attributes.push(cursor.read_len()?, &renderer.limits),
                    scope::DROPPED_ATTRIBUTES_COUNT => self.dropped = cursor.read_varint()? as u32,
                    _ => renderer.skip_unknown(&mut cursor, tag)?,
                }
            }
        }
        renderer.push_text(&mut self.names[0], name)?;
        renderer.push_text(&mut self.names[1], version)?;
        renderer.push_text(&mut self.schema_url, beside.schema_url)?;
        self.render(renderer, beside, &SCOPE, owner, &attributes)?;
        request.attributes = attributes;
        Ok(())
    }

    /// Renders the attributes; what does not fit is kept as the reason to reject the records.
    fn render(
        &mut self,
        renderer: &mut Renderer,
        beside: &Beside<'_>,
        descriptor: &Descriptor,
        owner: &[u8],
        attributes: &Attributes<'_>,
    ) -> Result<(), Fault> {
        match renderer.push_attributes(&mut self.attributes, owner, attributes) {
            Err(fault) => {
                self.reject = Some(fault.into_reject()?);
                // Not rendered to the end, so not read to the end: what is left must be well-formed.
                for part in beside.owner.parts() {
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
                renderer.push_text(&mut self.names[which], name)?;
            }
        }
        // A second reading of the same attributes: what it met has been counted.
        renderer.notes = notes;
        Ok(())
    }

    /// Sets a resource's columns to its values, from a row on; gives the bytes of those in a row.
    pub fn set_resource(&self, columns: &mut Repeated, row: usize) -> usize {
        columns.set(
            row,
            &[
                or_null(self.names[0].as_slice()),
                or_null(self.names[1].as_slice()),
                or_null(self.names[2].as_slice()),
                Constant::Text(Some(self.attributes.as_slice())),
                Constant::Int(i64::from(self.dropped)),
                or_null(self.schema_url.as_slice()),
            ],
        )
    }

    /// Sets a scope's columns to its values, from a row on; gives the bytes of those in a row.
    pub fn set_scope(&self, columns: &mut Repeated, row: usize) -> usize {
        columns.set(
            row,
            &[
                or_null(self.names[0].as_slice()),
                or_null(self.names[1].as_slice()),
                Constant::Text(Some(self.attributes.as_slice())),
                Constant::Int(i64::from(self.dropped)),
                or_null(self.schema_url.as_slice()),
            ],
        )
    }
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

/// "Ids whose bytes are all zero" are null: "OTLP calls them invalid".
#[inline(always)]
pub(crate) fn given_id(id: &[u8]) -> &[u8] {
    let is_zero = id.first() == Some(&0) && id.iter().all(|&byte| byte == 0);
    if is_zero { &[] } else { id }
}

/// Appends an id: "lower-case hex of the bytes, whatever their length; null when empty".
#[inline(always)]
pub(crate) fn push_id(
    column: &mut Texts,
    request: &mut Request<'_>,
    id: &[u8],
) -> Result<(), Excess> {
    let id = given_id(id);
    text::push_hex(&mut column.data, id);
    column.end_row_or_null();
    request.renderer.charge(4 * id.len())
}
