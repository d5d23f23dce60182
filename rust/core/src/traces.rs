//! ExportTraceServiceRequest -> otel_traces.

use arrow_schema::ArrowError;

use crate::columns::{Column, Int64s, Labels, Lists, Texts, column_of};
use crate::common::{
    Entries, Layer, Origin, Request, RowTime, SHARED_TEXTS, SPAN_ID_TEXT, TRACE_ID_TEXT, Times,
    push_id,
};
use crate::descriptors::SPAN;
use crate::enums::push_enum;
use crate::error::{Fault, Misfit};
use crate::fields::{event, link, span, status};
use crate::finished::{Finished, MakeText};
use crate::groups::{Group, Groups, Rows};
use crate::repeated::Repeated;
use crate::schema::Table;
use crate::target::Target;
use crate::wire::{Cursor, Message, read_fields};

const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// The columns of otel_traces, in schema order.
pub(crate) struct SpanColumns {
    time: Times,
    shared: Repeated,
    duration: Int64s,
    trace_id: Texts,
    span_id: Texts,
    parent_span_id: Texts,
    trace_state: Labels,
    name: Labels,
    kind: Labels,
    flags: Int64s,
    attributes: Texts,
    dropped_attributes: Int64s,
    dropped_events: Int64s,
    dropped_links: Int64s,
    status_code: Labels,
    status_message: Labels,
    events: Lists<EventColumns>,
    links: Lists<LinkColumns>,
}

#[derive(Default)]
struct EventColumns {
    time: Times,
    name: Texts,
    attributes: Texts,
    dropped_attributes: Int64s,
}

column_of!(EventColumns { time, name, attributes, dropped_attributes });

#[derive(Default)]
struct LinkColumns {
    trace_id: Texts,
    span_id: Texts,
    trace_state: Texts,
    flags: Int64s,
    attributes: Texts,
    dropped_attributes: Int64s,
}

column_of!(LinkColumns { trace_id, span_id, trace_state, flags, attributes, dropped_attributes });

impl Rows for SpanColumns {
    fn new(table: Table) -> Self {
        Self {
            time: Times::default(),
            shared: Repeated::new(&SHARED_TEXTS),
            duration: Int64s::default(),
            trace_id: Texts::of(TRACE_ID_TEXT),
            span_id: Texts::of(SPAN_ID_TEXT),
            parent_span_id: Texts::of(SPAN_ID_TEXT),
            trace_state: Labels::default(),
            name: Labels::default(),
            kind: Labels::default(),
            flags: Int64s::default(),
            attributes: Texts::default(),
            dropped_attributes: Int64s::default(),
            dropped_events: Int64s::default(),
            dropped_links: Int64s::default(),
            status_code: Labels::default(),
            status_message: Labels::default(),
            events: Lists::new(table, "EventsTimestamp"),
            links: Lists::new(table, "LinksTraceId"),
        }
    }

    fn attributes(&mut self) -> &mut Texts {
        &mut self.attributes
    }

    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Column)) {
        f(&mut self.time);
        f(&mut self.shared);
        f(&mut self.duration);
        f(&mut self.trace_id);
        f(&mut self.span_id);
        f(&mut self.parent_span_id);
        f(&mut self.trace_state);
        f(&mut self.name);
        f(&mut self.kind);
        f(&mut self.flags);
        f(&mut self.attributes);
        f(&mut self.dropped_attributes);
        f(&mut self.dropped_events);
        f(&mut self.dropped_links);
        f(&mut self.status_code);
        f(&mut self.status_message);
        f(&mut self.events);
        f(&mut self.links);
    }
}

/// One Span's fields, read and not yet appended.
#[derive(Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    parent_span_id: &'a [u8],
    flags: u32,
    name: &'a [u8],
    kind: i32,
    start_time: u64,
    end_time: u64,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
    status: Message<'a>,
}

/// The repeated fields of the span being read, reused.
#[derive(Default)]
struct Nested<'a> {
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
    attributes: Vec<&'a [u8]>,
}

pub(crate) fn append<'a>(
    groups: &mut Groups<SpanColumns>,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    let (mut resource, mut scope) = (Origin::default(), Origin::default());
    let mut nested = Nested::default();
    let mut resources = Entries::of_request(&mut request.renderer, payload)?;
    while let Some(bytes) = resources.next()? {
        let before = request.stored();
        let layer = Layer::read(&mut request.renderer, bytes)?;
        resource.read_resource(request, &layer)?;
        request.note_without_records(layer.entries);
        let mut scopes = Entries::of_layer(bytes);
        while let Some(bytes) = scopes.next()? {
            let before = request.stored();
            let layer = Layer::read(&mut request.renderer, bytes)?;
            scope.read_scope(request, &layer)?;
            request.note_without_records(layer.entries);
            groups.expect(layer.entries, bytes);
            append_spans(groups, request, &resource, &scope, bytes, &mut nested)?;
            request.forget_unstored_text(before);
        }
        request.forget_unstored_text(before);
    }
    Ok(())
}

fn append_spans<'a>(
    groups: &mut Groups<SpanColumns>,
    request: &mut Request<'a>,
    resource: &Origin,
    scope: &Origin,
    bytes: &'a [u8],
    nested: &mut Nested<'a>,
) -> Result<(), Fault> {
    let mut target = Target::new(request, resource, scope);
    let mut spans = Entries::of_layer(bytes);
    while let Some(bytes) = spans.next()? {
        request.count_record()?;
        if let Some(reject) = target.reject {
            request.reject(reject, bytes, &SPAN)?;
            continue;
        }
        let mut span = Span::default();
        span.read(request, bytes, nested)?;
        let time = RowTime::new(span.start_time, request.received_at);
        let at = target.find(groups, request, time.hour(), |columns| &mut columns.shared)?;
        let group = groups.get(at);
        match group.append_span(request, time, &span, nested, bytes) {
            Ok(()) => request.undated += usize::from(span.start_time == 0),
            Err(fault) => {
                groups.drop_row(at, &mut request.groups_left);
                target.forget();
                request.reject(fault.into_reject()?, bytes, &SPAN)?;
            }
        }
    }
    Ok(())
}

impl<'a> Span<'a> {
    /// Reads the fields; the attributes go to `request.attributes`, events and links to `nested`.
    #[inline]
    fn read(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        nested: &mut Nested<'a>,
    ) -> Result<(), Fault> {
        use span::{
            ATTRIBUTES, END_TIME_UNIX_NANO, EVENTS, FLAGS, KIND, LINKS, NAME, PARENT_SPAN_ID,
            SPAN_ID, START_TIME_UNIX_NANO, STATUS, TRACE_ID,
        };
        request.attributes.clear();
        nested.events.clear();
        nested.links.clear();
        let mut cursor = Cursor::new(bytes);
        read_fields!(
            cursor,
            [
                TRACE_ID,
                SPAN_ID,
                PARENT_SPAN_ID,
                NAME,
                KIND,
                START_TIME_UNIX_NANO,
                END_TIME_UNIX_NANO,
                ATTRIBUTES,
                EVENTS,
                LINKS,
                STATUS,
                FLAGS,
            ],
            |cursor, tag| self.read_field(request, nested, cursor, tag)
        );
        Ok(())
    }

    #[inline(always)]
    fn read_field(
        &mut self,
        request: &mut Request<'a>,
        nested: &mut Nested<'a>,
        cursor: &mut Cursor<'a>,
        tag: u32,
    ) -> Result<(), Fault> {
        match tag {
            span::TRACE_ID => self.trace_id = cursor.read_len()?,
            span::SPAN_ID => self.span_id = cursor.read_len()?,
            span::TRACE_STATE => self.trace_state = cursor.read_len()?,
            span::PARENT_SPAN_ID => self.parent_span_id = cursor.read_len()?,
            span::FLAGS => self.flags = cursor.read_fixed32()?,
            span::NAME => self.name = cursor.read_len()?,
            span::KIND => self.kind = cursor.read_varint()? as i32,
            span::START_TIME_UNIX_NANO => self.start_time = cursor.read_fixed64()?,
            span::END_TIME_UNIX_NANO => self.end_time = cursor.read_fixed64()?,
            span::ATTRIBUTES => request.attributes.push(cursor.read_len()?),
            span::DROPPED_ATTRIBUTES_COUNT => {
                self.dropped_attributes = cursor.read_varint()? as u32
            }
            span::EVENTS => nested.events.push(cursor.read_len()?),
            span::DROPPED_EVENTS_COUNT => self.dropped_events = cursor.read_varint()? as u32,
            span::LINKS => nested.links.push(cursor.read_len()?),
            span::DROPPED_LINKS_COUNT => self.dropped_links = cursor.read_varint()? as u32,
            span::STATUS => self.status.add(cursor.read_len()?),
            _ => request.renderer.skip_unknown(cursor, tag)?,
        }
        Ok(())
    }

    /// "end - start, signed: never clamped"; a span for which it does not fit is rejected.
    fn duration(&self, bytes: &[u8]) -> Result<i64, Fault> {
        let duration = i128::from(self.end_time) - i128::from(self.start_time);
        i64::try_from(duration).map_err(|_| {
            Fault::reject(bytes, Misfit::Duration { start: self.start_time, end: self.end_time })
        })
    }
}

impl Group<SpanColumns> {
    #[inline]
    fn append_span<'a>(
        &mut self,
        request: &mut Request<'a>,
        time: RowTime,
        record: &Span<'a>,
        nested: &mut Nested<'a>,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        // What may be refused comes first, so that a refused record leaves no dictionary entry.
        let notes = request.renderer.notes;
        let (status_code, status_message) =
            match self.columns.append_fallible(request, record, nested, bytes) {
                Ok(status) => status,
                Err(fault) => {
                    request.renderer.notes = notes;
                    return Err(fault);
                }
            };
        let columns = &mut self.columns;
        columns.time.push_row_time(time);
        let repeated_bytes = columns.shared.push();
        push_id(&mut columns.trace_id, record.trace_id);
        push_id(&mut columns.span_id, record.span_id);
        push_id(&mut columns.parent_span_id, record.parent_span_id);
        request.push_label_or_null(&mut columns.trace_state, record.trace_state);
        request.push_label(&mut columns.name, record.name);
        push_enum(&mut columns.kind, &SPAN_KINDS, record.kind);
        columns.flags.push(i64::from(record.flags));
        columns.dropped_attributes.push(i64::from(record.dropped_attributes));
        columns.dropped_events.push(i64::from(record.dropped_events));
        columns.dropped_links.push(i64::from(record.dropped_links));
        push_enum(&mut columns.status_code, &STATUS_CODES, status_code);
        request.push_label_or_null(&mut columns.status_message, status_message);
        self.rows += 1;
        Ok(request.count_row(repeated_bytes)?)
    }
}

impl SpanColumns {
    /// Appends duration, attributes, events and links; gives the status.
    #[inline]
    fn append_fallible<'a>(
        &mut self,
        request: &mut Request<'a>,
        record: &Span<'a>,
        nested: &mut Nested<'a>,
        bytes: &[u8],
    ) -> Result<(i32, &'a [u8]), Fault> {
        self.duration.push(record.duration(bytes)?);
        request.renderer.push_attributes(&mut self.attributes.data, bytes, &request.attributes)?;
        self.attributes.end_row();
        let Nested { events, links, attributes } = nested;
        for bytes in events.iter() {
            self.events.begin_row().push(request, bytes, attributes)?;
        }
        self.events.end_row(self.events.items.dropped_attributes.len());
        for bytes in links.iter() {
            self.links.begin_row().push(request, bytes, attributes)?;
        }
        self.links.end_row(self.links.items.dropped_attributes.len());
        read_status(request, &record.status)
    }
}

fn read_status<'a>(
    request: &mut Request<'a>,
    message: &Message<'a>,
) -> Result<(i32, &'a [u8]), Fault> {
    let (mut code, mut text): (i32, &[u8]) = (0, &[]);
    for part in message.parts() {
        let mut cursor = Cursor::new(part);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                status::MESSAGE => text = cursor.read_len()?,
                status::CODE => code = cursor.read_varint()? as i32,
                _ => request.renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
    }
    Ok((code, text))
}

impl EventColumns {
    fn push<'a>(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut Vec<&'a [u8]>,
    ) -> Result<(), Fault> {
        request.count_nested()?;
        let renderer = &mut request.renderer;
        let (mut time, mut name, mut dropped_attributes): (u64, &[u8], u32) = (0, &[], 0);
        attributes.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                event::TIME_UNIX_NANO => time = cursor.read_fixed64()?,
                event::NAME => name = cursor.read_len()?,
                event::ATTRIBUTES => attributes.push(cursor.read_len()?),
                event::DROPPED_ATTRIBUTES_COUNT => {
                    dropped_attributes = cursor.read_varint()? as u32
                }
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        self.time.push(time);
        renderer.push_text(&mut self.name.data, name);
        self.name.end_row_or_null();
        renderer.push_attributes(&mut self.attributes.data, bytes, attributes)?;
        self.attributes.end_row();
        self.dropped_attributes.push(i64::from(dropped_attributes));
        Ok(())
    }
}

impl LinkColumns {
    fn push<'a>(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut Vec<&'a [u8]>,
    ) -> Result<(), Fault> {
        request.count_nested()?;
        let renderer = &mut request.renderer;
        let (mut trace_id, mut span_id, mut trace_state): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut flags, mut dropped_attributes) = (0, 0);
        attributes.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                link::TRACE_ID => trace_id = cursor.read_len()?,
                link::SPAN_ID => span_id = cursor.read_len()?,
                link::TRACE_STATE => trace_state = cursor.read_len()?,
                link::ATTRIBUTES => attributes.push(cursor.read_len()?),
                link::DROPPED_ATTRIBUTES_COUNT => dropped_attributes = cursor.read_varint()? as u32,
                link::FLAGS => flags = cursor.read_fixed32()?,
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        push_id(&mut self.trace_id, trace_id);
        push_id(&mut self.span_id, span_id);
        renderer.push_text(&mut self.trace_state.data, trace_state);
        self.trace_state.end_row_or_null();
        self.flags.push(i64::from(flags));
        renderer.push_attributes(&mut self.attributes.data, bytes, attributes)?;
        self.attributes.end_row();
        self.dropped_attributes.push(i64::from(dropped_attributes));
        Ok(())
    }
}
