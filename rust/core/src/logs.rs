//! ExportLogsServiceRequest -> otel_logs.

use crate::columns::{ByteBuffer, Int32s, Int64s, Labels, Repeated, Rows, Texts, column_of};
use crate::enums::push_enum;
use crate::error::Fault;
use crate::fields::{LOG_RECORD, log_record};
use crate::ids::push_id;
use crate::owner::{Owner, Shared};
use crate::placing::{Placing, SharedColumns};
use crate::request::Request;
use crate::times::{RowTime, Times};
use crate::usual::read_usual_string;
use crate::value::{KINDS, STRING_KIND, Value};
use crate::walk::{Entries, walk};
use crate::wire::{Cursor, Message, read_fields};

/// The columns of otel_logs, in schema order.
#[derive(Default)]
pub(crate) struct LogColumns {
    time: Times,
    shared: Shared,
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

column_of!(LogColumns {
    time,
    shared,
    observed_time,
    trace_id,
    span_id,
    flags,
    severity_number,
    severity_text,
    event_name,
    body,
    body_type,
    attributes,
    dropped_attributes,
});

/// Bytes of a row beside its text.
const ROW_BYTES: usize = 82;

impl LogColumns {
    /// Makes room for the text of a first request: mostly attributes, nearly as long as JSON as on
    /// the wire.
    fn expect(&mut self, bytes: usize) {
        self.attributes.expect(bytes / 8 * 5);
        self.body.expect(bytes / 4);
        self.trace_id.expect(bytes / 8);
        self.span_id.expect(bytes / 16);
    }
}

impl SharedColumns for LogColumns {
    fn resource(&mut self) -> &mut Repeated {
        &mut self.shared.resource
    }

    fn scope(&mut self) -> &mut Repeated {
        &mut self.shared.scope
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
    rows: &mut Rows<LogColumns>,
    request: &mut Request<'a>,
    payload: &'a [u8],
) -> Result<(), Fault> {
    rows.columns.expect(payload.len());
    walk(request, payload, |request, resource, scope, bytes| {
        append_records(rows, request, resource, scope, bytes)
    })
}

fn append_records<'a>(
    rows: &mut Rows<LogColumns>,
    request: &mut Request<'a>,
    resource: &Owner,
    scope: &Owner,
    bytes: &'a [u8],
) -> Result<(), Fault> {
    let mut placing = Placing::new(resource, scope);
    let mut records = Entries::of_scope(bytes);
    while let Some(bytes) = records.next()? {
        request.count_record(ROW_BYTES)?;
        if let Some(reject) = placing.reject() {
            request.reject(reject, bytes, &LOG_RECORD)?;
            continue;
        }
        let mut record = LogRecord::default();
        record.read(request, bytes, &mut rows.columns.attributes.data)?;
        let notes = request.renderer.notes;
        // What may be refused comes first, so that a rejected record leaves no mark.
        let body_type = match rows.columns.render(request, &record, bytes) {
            Ok(body_type) => body_type,
            Err(fault) => {
                let reject = fault.into_reject()?;
                request.renderer.notes = notes;
                rows.drop_row();
                request.reject(reject, bytes, &LOG_RECORD)?;
                continue;
            }
        };
        // "time_unix_nano, else observed_time_unix_nano, else the receive time".
        let given =
            if record.observed_time == 0 { request.received_at } else { record.observed_time };
        let time = RowTime::new(record.time, given);
        placing.place_row(rows, request, time.hour())?;
        rows.columns.push(request, time, &record, body_type)?;
        request.undated += usize::from(record.time == 0 && record.observed_time == 0);
    }
    Ok(())
}

impl<'a> LogRecord<'a> {
    /// Reads the fields; the attributes go to `attributes` and what of them has to wait to
    /// `request.attributes`.
    #[inline(never)]
    fn read(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        attributes: &mut ByteBuffer,
    ) -> Result<(), Fault> {
        use log_record::{
            ATTRIBUTES, BODY, FLAGS, OBSERVED_TIME_UNIX_NANO, SEVERITY_NUMBER, SEVERITY_TEXT,
            SPAN_ID, TIME_UNIX_NANO, TRACE_ID,
        };
        request.begin_attributes(attributes);
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
            |cursor, tag| self.read_field(request, attributes, cursor, tag)
        );
        Ok(())
    }

    #[inline(always)]
    fn read_field(
        &mut self,
        request: &mut Request<'a>,
        attributes: &mut ByteBuffer,
        cursor: &mut Cursor<'a>,
        tag: u32,
    ) -> Result<(), Fault> {
        match tag {
            log_record::TIME_UNIX_NANO => self.time = cursor.read_fixed64()?,
            log_record::OBSERVED_TIME_UNIX_NANO => self.observed_time = cursor.read_fixed64()?,
            log_record::SEVERITY_NUMBER => self.severity_number = cursor.read_varint()? as i32,
            log_record::SEVERITY_TEXT => self.severity_text = cursor.read_len()?,
            log_record::BODY => request.renderer.merge(&mut self.body, cursor.read_len()?)?,
            log_record::ATTRIBUTES => request.read_attributes(attributes, cursor, tag)?,
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

impl LogColumns {
    /// Renders what may be refused, attributes and body; gives the body's type.
    #[inline]
    fn render(
        &mut self,
        request: &mut Request<'_>,
        record: &LogRecord<'_>,
        bytes: &[u8],
    ) -> Result<Option<i32>, Fault> {
        request.end_attributes(&mut self.attributes.data, bytes)?;
        push_body(&mut self.body.data, request, &record.body)
    }

    /// Appends the row that was begun.
    #[inline]
    fn push(
        &mut self,
        request: &mut Request<'_>,
        time: RowTime,
        record: &LogRecord<'_>,
        body_type: Option<i32>,
    ) -> Result<(), Fault> {
        self.attributes.end_row();
        self.time.push_row_time(time);
        self.observed_time.push(record.observed_time);
        push_id(&mut self.trace_id, request, record.trace_id)?;
        push_id(&mut self.span_id, request, record.span_id)?;
        self.flags.push(i64::from(record.flags));
        self.severity_number.push(record.severity_number);
        request.push_label_or_null(&mut self.severity_text, record.severity_text)?;
        request.push_label_or_null(&mut self.event_name, record.event_name)?;
        self.dropped_attributes.push(i64::from(record.dropped_attributes));
        match body_type {
            Some(kind) => {
                self.body.end_valid_row();
                push_enum(&mut self.body_type, &KINDS, kind, 1);
            }
            None => {
                self.body.push_null();
                self.body_type.push_null();
            }
        }
        Ok(())
    }
}

/// "A string body verbatim (no quotes); any other kind as JSON text; null when absent."
#[inline]
fn push_body(
    out: &mut ByteBuffer,
    request: &mut Request<'_>,
    body: &Message<'_>,
) -> Result<Option<i32>, Fault> {
    if !body.is_present() {
        return Ok(None);
    }
    let renderer = &mut request.renderer;
    if let Some(text) = body.single().and_then(read_usual_string) {
        renderer.push_text(out, text)?;
        return Ok(Some(STRING_KIND));
    }
    let value = renderer.read_any_value(body, 0)?;
    if let Value::String(bytes) = value {
        renderer.push_text(out, bytes)?;
    } else {
        let start = renderer.begin(out);
        renderer.push_value(out, &value, 0)?;
        renderer.end(out, start)?;
    }
    Ok(Some(value.kind()))
}
