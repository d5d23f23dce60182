//! The way from a request down to the messages that hold records: it is the same for all signals.
//!
//! Knows what Resource… and Scope… messages of all signals share. Must not know records.

use crate::error::Fault;
use crate::fields::{request, resource_records, scope_records};
use crate::owner::{Owner, Owners};
use crate::renderer::Renderer;
use crate::request::Request;
use crate::wire::{Cursor, Message};

/// The fields of a Resource… or Scope… message that stand beside its list.
///
/// "Field order is free (a scope may come after its records)": one walk over the field headers
/// finds what stands beside the entries, a second one reads those.
pub(crate) struct Beside<'a> {
    /// The resource or the scope.
    pub owner: Message<'a>,
    pub schema_url: &'a [u8],
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
                    // Nearly all that there is: passed over in a loop of its own.
                    while cursor.take_tag(scope_records::RECORDS) {
                        cursor.read_len()?;
                        beside.entries += 1;
                    }
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
        if self.cursor.take_tag(self.tag) {
            return self.cursor.read_len().map(Some);
        }
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
    // The scope that `scope` was rendered from, if nothing had to be said of it.
    let mut last_scope: Option<(&[u8], &[u8])> = None;
    let mut resources = Entries::of_request(&mut request.renderer, payload)?;
    while let Some(bytes) = resources.next()? {
        if bytes.is_empty() {
            // Thirty million of these fit into a request, and nothing is in them.
            request.note_without_records(0);
            continue;
        }
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
                let given = beside.owner.single().map(|scope| (scope, beside.schema_url));
                // The libraries of one service after another are mostly the same.
                if given.is_none() || given != last_scope {
                    let notes = request.renderer.notes;
                    scope.read_scope(request, &beside)?;
                    let is_plain = scope.reject.is_none() && request.renderer.notes == notes;
                    last_scope = given.filter(|_| is_plain);
                }
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
