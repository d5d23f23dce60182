//! Resources and scopes: read and rendered once, repeated by every record below them.

use crate::columns::{ByteBuffer, Constant, Repeated, column_of, or_null};
use crate::error::{Fault, Reject};
use crate::fields::{Descriptor, ENTITY_REF, RESOURCE, SCOPE, resource, scope};
use crate::renderer::Renderer;
use crate::request::{Attributes, Request};
use crate::usual::{read_usual_key_value, read_usual_string};
use crate::value::Value;
use crate::walk::Beside;
use crate::well_formed;
use crate::wire::{Cursor, Message};

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

/// The resource and the scope whose records are read, reused from one to the next.
#[derive(Default)]
pub(crate) struct Owners {
    pub resource: Owner,
    pub scope: Owner,
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
/// What all of these begin with, and few others.
const SERVICE_PREFIX: &[u8] = b"service.";

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

    pub fn read_resource<'a>(
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
                        well_formed::check(&ENTITY_REF, bytes, 0).map_err(|broken| broken.fault)?;
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

    pub fn read_scope<'a>(
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
                    well_formed::check(descriptor, part, renderer.limits.depth)
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
            let (key, value) = match read_usual_key_value(bytes) {
                Some((key, value)) => (key, Message::one(value)),
                None => renderer.read_key_value(bytes)?,
            };
            if !key.starts_with(SERVICE_PREFIX) {
                continue;
            }
            let Some(which) = SERVICE_KEYS.iter().position(|&wanted| wanted == key) else {
                continue;
            };
            if std::mem::replace(&mut found[which], true) {
                continue;
            }
            let text = match value.single().and_then(read_usual_string) {
                Some(text) => Value::String(text),
                None => renderer.read_any_value(&value, 0)?,
            };
            if let Value::String(name) = text {
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
