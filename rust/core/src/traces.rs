//! ExportTraceServiceRequest -> otel_traces.

use crate::columns::{ByteBuffer, Int64s, Labels, Lists, Repeated, Rows, Texts, column_of};
use crate::enums::push_enum;
use crate::error::{Fault, Misfit};
use crate::fields::{SPAN, SPAN_KINDS, STATUS_CODES, event, link, span, status};
use crate::ids::push_id;
use crate::owner::{Owner, Shared};
use crate::placing::{Placing, SharedColumns};
use crate::request::{Attributes, Request};
use crate::schema::Table;
use crate::times::{RowTime, Times};
use crate::walk::{Entries, walk};
use crate::wire::{Cursor, Message, read_fields};

/// The columns of otel_traces, in schema order.
pub(crate) struct SpanColumns {
    time: Times,
    shared: Shared,
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

column_of!(SpanColumns {
    time,
    shared,
    duration,
    trace_id,
    span_id,
    parent_span_id,
    trace_state,
    name,
    kind,
    flags,
    attributes,
    dropped_attributes,
    dropped_events,
    dropped_links,
    status_code,
    status_message,
    events,
    links,
});

/// Bytes of a row beside its text, of an event and of a link.
const ROW_BYTES: usize = 99;
const EVENT_BYTES: usize = 48;
const LINK_BYTES: usize = 48;

impl Default for SpanColumns {
    fn default() -> Self {
        Self {
            time: Times::default(),
            shared: Shared::default(),
            duration: Int64s::default(),
            trace_id: Texts::default(),
            span_id: Texts::default(),
            parent_span_id: Texts::default(),
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
            events: Lists::new(Table::Traces, "EventsTimestamp"),
            links: Lists::new(Table::Traces, "LinksTraceId"),
        }
    }
}

impl SpanColumns {
    /// Makes room for the text of a first request: mostly attributes, nearly as long as JSON as on
    /// the wire.
    fn expect(&mut self, bytes: usize) {
        self.attributes.expect(bytes / 8 * 5);
        self.trace_id.expect(bytes / 8);
        self.span_id.expect(bytes / 16);
    }
}

impl SharedColumns for SpanColumns {
    fn resource(&mut self) -> &mut Repeated {
        &mut self.shared.resource
    }

    fn scope(&mut self) -> &mut Repeated {
        &mut self.shared.scope
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
    attributes: Attributes<'a>,
}

pub(crate) fn append<'a>(
    rows: &mut Rows<SpanColumns>,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    rows.columns.expect(payload.len());
    let mut nested = Nested::default();
    walk(request, payload, |request, resource, scope, bytes| {
        append_spans(rows, request, resource, scope, bytes, &mut nested)
    })
}

fn append_spans<'a>(
    rows: &mut Rows<SpanColumns>,
    request: &mut Request<'a>,
    resource: &Owner,
    scope: &Owner,
    bytes: &'a [u8],
    nested: &mut Nested<'a>,
) -> Result<(), Fault> {
    let mut placing = Placing::new(resource, scope);
    let mut spans = Entries::of_scope(bytes);
    while let Some(bytes) = spans.next()? {
        request.count_record(ROW_BYTES)?;
        if let Some(reject) = placing.reject() {
            request.reject(reject, bytes, &SPAN)?;
            continue;
        }
        let mut span = Span::default();
        span.read(request, bytes, &mut rows.columns.attributes.data, nested)?;
        let notes = request.renderer.notes;
        // What may be refused comes first, so that a rejected span leaves no mark.
        let rendered = match rows.columns.render(request, &span, nested, bytes) {
            Ok(rendered) => rendered,
            Err(fault) => {
                let reject = fault.into_reject()?;
                request.renderer.notes = notes;
                rows.drop_row();
                request.reject(reject, bytes, &SPAN)?;
                continue;
            }
        };
        let time = RowTime::new(span.start_time, request.received_at);
        placing.place_row(rows, request, time.hour())?;
        rows.columns.push(request, time, &span, &rendered)?;
        request.undated += usize::from(span.start_time == 0);
    }
    Ok(())
}

impl<'a> Span<'a> {
    /// Reads the fields; the attributes go to `attributes` and what of them has to wait to
    /// `request.attributes`, events and links to `nested`.
    #[inline(never)]
    fn read(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
        nested: &mut Nested<'a>,
    ) -> Result<(), Fault> {
        use span::{
            ATTRIBUTES, END_TIME_UNIX_NANO, EVENTS, FLAGS, KIND, LINKS, NAME, PARENT_SPAN_ID,
            SPAN_ID, START_TIME_UNIX_NANO, STATUS, TRACE_ID,
        };
        request.begin_attributes(attributes);
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
                EVENTS: repeated,
                LINKS: repeated,
                STATUS,
                FLAGS,
            ],
            |cursor, tag| self.read_field(request, attributes, nested, cursor, tag)
        );
        Ok(())
    }

    #[inline(always)]
    fn read_field(
        &mut self,
        request: &mut Request<'a>,
        attributes: &mut ByteBuffer,
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
            span::ATTRIBUTES => request.read_attributes(attributes, cursor, tag)?,
            span::DROPPED_ATTRIBUTES_COUNT => {
                self.dropped_attributes = cursor.read_varint()? as u32
            }
            span::EVENTS => {
                request.count_nested(EVENT_BYTES)?;
                nested.events.push(cursor.read_len()?);
            }
            span::DROPPED_EVENTS_COUNT => self.dropped_events = cursor.read_varint()? as u32,
            span::LINKS => {
                request.count_nested(LINK_BYTES)?;
                nested.links.push(cursor.read_len()?);
            }
            span::DROPPED_LINKS_COUNT => self.dropped_links = cursor.read_varint()? as u32,
            span::STATUS => request.renderer.merge(&mut self.status, cursor.read_len()?)?,
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

/// What rendering a span gave beside what it wrote.
struct Rendered<'a> {
    duration: i64,
    status_code: i32,
    status_message: &'a [u8],
}

impl SpanColumns {
    /// Renders what may be refused: attributes, events, links, duration and status.
    #[inline]
    fn render<'a>(
        &mut self,
        request: &mut Request<'a>,
        record: &Span<'a>,
        nested: &mut Nested<'a>,
        bytes: &[u8],
    ) -> Result<Rendered<'a>, Fault> {
        let duration = record.duration(bytes)?;
        request.end_attributes(&mut self.attributes.data, bytes)?;
        let Nested { events, links, attributes } = nested;
        for bytes in events.iter() {
            self.events.items.push(request, bytes, attributes)?;
        }
        for bytes in links.iter() {
            self.links.items.push(request, bytes, attributes)?;
        }
        let (status_code, status_message) = read_status(request, &record.status)?;
        Ok(Rendered { duration, status_code, status_message })
    }

    /// Appends the row that was begun.
    #[inline]
    fn push(
        &mut self,
        request: &mut Request<'_>,
        time: RowTime,
        record: &Span<'_>,
        rendered: &Rendered<'_>,
    ) -> Result<(), Fault> {
        self.attributes.end_row();
        self.events.end_row(self.events.items.dropped_attributes.len());
        self.links.end_row(self.links.items.dropped_attributes.len());
        self.time.push_row_time(time);
        self.duration.push(rendered.duration);
        push_id(&mut self.trace_id, request, record.trace_id)?;
        push_id(&mut self.span_id, request, record.span_id)?;
        push_id(&mut self.parent_span_id, request, record.parent_span_id)?;
        request.push_label_or_null(&mut self.trace_state, record.trace_state)?;
        request.push_label(&mut self.name, record.name)?;
        push_enum(&mut self.kind, &SPAN_KINDS, record.kind, 1);
        self.flags.push(i64::from(record.flags));
        self.dropped_attributes.push(i64::from(record.dropped_attributes));
        self.dropped_events.push(i64::from(record.dropped_events));
        self.dropped_links.push(i64::from(record.dropped_links));
        push_enum(&mut self.status_code, &STATUS_CODES, rendered.status_code, 1);
        request.push_label_or_null(&mut self.status_message, rendered.status_message)?;
        Ok(())
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
        attributes: &mut Attributes<'a>,
    ) -> Result<(), Fault> {
        let renderer = &mut request.renderer;
        let (mut time, mut name, mut dropped_attributes): (u64, &[u8], u32) = (0, &[], 0);
        attributes.clear();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                event::TIME_UNIX_NANO => time = cursor.read_fixed64()?,
                event::NAME => name = cursor.read_len()?,
                event::ATTRIBUTES => attributes.push(cursor.read_len()?, &renderer.limits),
                event::DROPPED_ATTRIBUTES_COUNT => {
                    dropped_attributes = cursor.read_varint()? as u32
                }
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        self.time.push(time);
        renderer.push_text(&mut self.name.data, name)?;
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
        attributes: &mut Attributes<'a>,
    ) -> Result<(), Fault> {
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
                link::ATTRIBUTES => attributes.push(cursor.read_len()?, &renderer.limits),
                link::DROPPED_ATTRIBUTES_COUNT => dropped_attributes = cursor.read_varint()? as u32,
                link::FLAGS => flags = cursor.read_fixed32()?,
                _ => renderer.skip_unknown(&mut cursor, tag)?,
            }
        }
        push_id(&mut self.trace_id, request, trace_id)?;
        push_id(&mut self.span_id, request, span_id)?;
        let renderer = &mut request.renderer;
        renderer.push_text(&mut self.trace_state.data, trace_state)?;
        self.trace_state.end_row_or_null();
        self.flags.push(i64::from(flags));
        renderer.push_attributes(&mut self.attributes.data, bytes, attributes)?;
        self.attributes.end_row();
        self.dropped_attributes.push(i64::from(dropped_attributes));
        Ok(())
    }
}
