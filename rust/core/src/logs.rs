//! ExportLogsServiceRequest -> otel_logs.

use crate::columns::{Column, Int32s, Int64s, Labels, Texts};
use crate::common::{
    Entries, Layer, Origin, Request, RowTime, SHARED_TEXTS, SPAN_ID_TEXT, TRACE_ID_TEXT, Times,
    push_id,
};
use crate::descriptors::LOG_RECORD;
use crate::enums::push_enum;
use crate::error::Fault;
use crate::fields::log_record;
use crate::groups::{Group, Groups, Rows};
use crate::repeated::Repeated;
use crate::schema::Table;
use crate::target::Target;
use crate::value::{KINDS, Renderer, STRING_KIND, Value, read_usual_string};
use crate::wire::{Cursor, Message, read_fields};

/// The columns of otel_logs, in schema order.
pub(crate) struct LogColumns {
    time: Times,
    shared: Repeated,
    observed_time: Times,
    trace_id: Texts,
    span_id: Texts,
    flags: Int64s,
    severity_number: Int32s,
    severity_text: Labels,
    event_name: Labels,
    body: Texts,
    body_type: Labels,
    attributes: Texts,
    dropped_attributes: Int64s,
}

/// Bytes of a usual body.
const BODY_TEXT: usize = 64;

impl Rows for LogColumns {
    fn new(_: Table) -> Self {
        Self {
            time: Times::default(),
            shared: Repeated::new(&SHARED_TEXTS),
            observed_time: Times::default(),
            trace_id: Texts::of(TRACE_ID_TEXT),
            span_id: Texts::of(SPAN_ID_TEXT),
            flags: Int64s::default(),
            severity_number: Int32s::default(),
            severity_text: Labels::default(),
            event_name: Labels::default(),
            body: Texts::of(BODY_TEXT),
            body_type: Labels::default(),
            attributes: Texts::default(),
            dropped_attributes: Int64s::default(),
        }
    }

    fn attributes(&mut self) -> &mut Texts {
        &mut self.attributes
    }

    fn each(&mut self, f: &mut dyn FnMut(&mut dyn Column)) {
        f(&mut self.time);
        f(&mut self.shared);
        f(&mut self.observed_time);
        f(&mut self.trace_id);
        f(&mut self.span_id);
        f(&mut self.flags);
        f(&mut self.severity_number);
        f(&mut self.severity_text);
        f(&mut self.event_name);
        f(&mut self.body);
        f(&mut self.body_type);
        f(&mut self.attributes);
        f(&mut self.dropped_attributes);
    }
}

/// One LogRecord's fields, read and not yet appended.
#[derive(Default)]
struct LogRecord<'a> {
    time: u64,
    observed_time: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    body: Message<'a>,
    dropped_attributes: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
}

pub(crate) fn append<'a>(
    groups: &mut Groups<LogColumns>,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    let (mut resource, mut scope) = (Origin::default(), Origin::default());
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
            append_records(groups, request, &resource, &scope, bytes)?;
            request.forget_unstored_text(before);
        }
        request.forget_unstored_text(before);
    }
    Ok(())
}

fn append_records<'a>(
    groups: &mut Groups<LogColumns>,
    request: &mut Request<'a>,
    resource: &Origin,
    scope: &Origin,
    bytes: &'a [u8],
) -> Result<(), Fault> {
    let mut target = Target::new(request, resource, scope);
    let mut records = Entries::of_layer(bytes);
    while let Some(bytes) = records.next()? {
        request.count_record()?;
        if let Some(reject) = target.reject {
            request.reject(reject, bytes, &LOG_RECORD)?;
            continue;
        }
        let mut record = LogRecord::default();
        record.read(request, bytes)?;
        // "time_unix_nano, else observed_time_unix_nano, else the receive time".
        let given =
            if record.observed_time == 0 { request.received_at } else { record.observed_time };
        let time = RowTime::new(record.time, given);
        let at = target.find(groups, request, time.hour(), |columns| &mut columns.shared)?;
        let group = groups.get(at);
        match group.append_log_record(request, time, &record, bytes) {
            Ok(()) => request.undated += usize::from(record.time == 0 && record.observed_time == 0),
            Err(fault) => {
                groups.drop_row(at, &mut request.groups_left);
                target.forget();
                request.reject(fault.into_reject()?, bytes, &LOG_RECORD)?;
            }
        }
    }
    Ok(())
}

impl<'a> LogRecord<'a> {
    /// Reads the fields; the attributes go to `request.attributes`.
    #[inline]
    fn read(&mut self, request: &mut Request<'a>, bytes: &'a [u8]) -> Result<(), Fault> {
        use log_record::{
            ATTRIBUTES, BODY, FLAGS, OBSERVED_TIME_UNIX_NANO, SEVERITY_NUMBER, SEVERITY_TEXT,
            SPAN_ID, TIME_UNIX_NANO, TRACE_ID,
        };
        request.attributes.clear();
        let mut cursor = Cursor::new(bytes);
        read_fields!(
            cursor,
            [
                TIME_UNIX_NANO,
                SEVERITY_NUMBER,
                SEVERITY_TEXT,
                BODY,
                ATTRIBUTES,
                FLAGS,
                TRACE_ID,
                SPAN_ID,
                OBSERVED_TIME_UNIX_NANO,
            ],
            |cursor, tag| self.read_field(request, cursor, tag)
        );
        Ok(())
    }

    #[inline(always)]
    fn read_field(
        &mut self,
        request: &mut Request<'a>,
        cursor: &mut Cursor<'a>,
        tag: u32,
    ) -> Result<(), Fault> {
        match tag {
            log_record::TIME_UNIX_NANO => self.time = cursor.read_fixed64()?,
            log_record::OBSERVED_TIME_UNIX_NANO => self.observed_time = cursor.read_fixed64()?,
            log_record::SEVERITY_NUMBER => self.severity_number = cursor.read_varint()? as i32,
            log_record::SEVERITY_TEXT => self.severity_text = cursor.read_len()?,
            log_record::BODY => self.body.add(cursor.read_len()?),
            log_record::ATTRIBUTES => request.attributes.push(cursor.read_len()?),
            log_record::DROPPED_ATTRIBUTES_COUNT => {
                self.dropped_attributes = cursor.read_varint()? as u32
            }
            log_record::FLAGS => self.flags = cursor.read_fixed32()?,
            log_record::TRACE_ID => self.trace_id = cursor.read_len()?,
            log_record::SPAN_ID => self.span_id = cursor.read_len()?,
            log_record::EVENT_NAME => self.event_name = cursor.read_len()?,
            _ => request.renderer.skip_unknown(cursor, tag)?,
        }
        Ok(())
    }
}

impl Group<LogColumns> {
    #[inline]
    fn append_log_record(
        &mut self,
        request: &mut Request<'_>,
        time: RowTime,
        record: &LogRecord<'_>,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let columns = &mut self.columns;
        // What may be refused comes first, so that a refused record leaves no dictionary entry.
        let renderer = &mut request.renderer;
        let notes = renderer.notes;
        let rendered = renderer
            .push_attributes(&mut columns.attributes.data, bytes, &request.attributes)
            .and_then(|()| columns.push_body(renderer, &record.body));
        if let Err(fault) = rendered {
            renderer.notes = notes;
            return Err(fault);
        }
        columns.attributes.end_row();
        columns.time.push_row_time(time);
        let repeated_bytes = columns.shared.push();
        columns.observed_time.push(record.observed_time);
        push_id(&mut columns.trace_id, record.trace_id);
        push_id(&mut columns.span_id, record.span_id);
        columns.flags.push(i64::from(record.flags));
        columns.severity_number.push(record.severity_number);
        request.push_label_or_null(&mut columns.severity_text, record.severity_text);
        request.push_label_or_null(&mut columns.event_name, record.event_name);
        columns.dropped_attributes.push(i64::from(record.dropped_attributes));
        self.rows += 1;
        Ok(request.count_row(repeated_bytes)?)
    }
}

impl LogColumns {
    /// "a string body verbatim (no quotes); any other kind as JSON text; null when absent".
    #[inline]
    fn push_body(&mut self, renderer: &mut Renderer, body: &Message<'_>) -> Result<(), Fault> {
        if !body.is_present() {
            self.body.push_null();
            self.body_type.push_null();
            return Ok(());
        }
        if let Some(text) = body.single().and_then(read_usual_string) {
            renderer.push_text(&mut self.body.data, text);
            self.body.end_row();
            push_enum(&mut self.body_type, &KINDS, STRING_KIND);
            return Ok(());
        }
        let value = renderer.read_any_value(body, 0)?;
        if let Value::String(bytes) = value {
            renderer.push_text(&mut self.body.data, bytes);
        } else {
            renderer.push_value(&mut self.body.data, &value, 0)?;
        }
        self.body.end_row();
        push_enum(&mut self.body_type, &KINDS, value.kind());
        Ok(())
    }
}
