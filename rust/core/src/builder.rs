//! The open builders of one batch (or one shard of it): many requests in, Arrow batches out.

use arrow_schema::ArrowError;

use crate::columns::{ByteBuffer, MakeText, Size, TableBatch, Used, make_checked_text};
use crate::error::{AppendError, Excess};
use crate::explain::{explain, message};
use crate::limits::{FULL_COLUMN_BYTES, Limits};
use crate::logs::{self, LogColumns};
use crate::metrics::{self, MetricRows};
use crate::otlp_json::{self, JsonForm, Transcoded};
use crate::owner::Owners;
use crate::renderer::{Memory, Notes};
use crate::request::Request;
use crate::schema::{Strings, Table};
use crate::signal::Signal;
use crate::traces::{self, SpanColumns};

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Rows appended.
    pub accepted: usize,
    /// Records left out for good.
    pub rejected: usize,
    /// Rows whose `Timestamp` is the receive time.
    pub undated: usize,
    /// Why records were left out or changed; empty when there is nothing to say.
    pub message: String,
    /// What was met and is not stored as it came.
    pub notes: Notes,
}

/// Columns for all seven tables, open for more requests.
pub struct BatchBuilder {
    limits: Limits,
    logs: Used<LogColumns>,
    traces: Used<SpanColumns>,
    metrics: MetricRows,
    size: Size,
    stamp: u64,
    /// Whether a request is being appended: if one is at the beginning of another, a bug ended
    /// it halfway.
    is_open: bool,
    /// Bytes of memory that the requests' rows may take as plain strings, and what their repeated
    /// values take of it.
    plain: Plain,
    /// Room for JSON that becomes protobuf, reused.
    transcoded: ByteBuffer,
    /// Room for the values of resources and scopes, reused.
    owners: Option<Box<Owners>>,
}

/// What a finish with plain strings takes beside the columns.
#[derive(Default)]
struct Plain {
    allowed: usize,
    repeated: u64,
}

/// Room beyond this is not kept from a finish to the next request.
const KEPT_IDLE_BYTES: usize = 128 << 10;

/// Room beyond this is not kept from one request to the next.
const KEPT_TRANSCODED_BYTES: usize = 4 << 20;

impl BatchBuilder {
    /// Empty builders.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            logs: Used::default(),
            traces: Used::default(),
            metrics: MetricRows::default(),
            size: Size::default(),
            stamp: 0,
            is_open: false,
            plain: Plain::default(),
            transcoded: ByteBuffer::default(),
            owners: None,
        }
    }

    /// Sets the limits of the requests to come.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Rows appended since the last finish.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.size.rows
    }

    /// Bytes held for them, as Arrow counts (dictionary columns as dictionaries).
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        self.size.bytes
    }

    /// Bytes of memory for them, with the room that buffers have made for rows to come; after a
    /// finish those of the room alone, which is bounded for each table.
    ///
    /// An eighth is added for what the allocator keeps beside them: the buffers that grew into
    /// larger ones, and the ends of pages (measured: `make overload`).
    #[must_use]
    pub fn num_memory_bytes(&self) -> usize {
        let metrics = &self.metrics;
        let bytes = self.logs.memory_bytes()
            + self.traces.memory_bytes()
            + metrics.gauge.memory_bytes()
            + metrics.sum.memory_bytes()
            + metrics.histogram.memory_bytes()
            + metrics.exponential_histogram.memory_bytes()
            + metrics.summary.memory_bytes()
            + self.transcoded.capacity()
            + self.owners.as_ref().map_or(0, |owners| owners.memory_bytes());
        bytes + bytes / 8
    }

    /// Open (table, service, hour) groups: the files a finish leads to.
    #[must_use]
    pub fn num_groups(&self) -> usize {
        let metrics = &self.metrics;
        self.logs.num_groups()
            + self.traces.num_groups()
            + metrics.gauge.num_groups()
            + metrics.sum.num_groups()
            + metrics.histogram.num_groups()
            + metrics.exponential_histogram.num_groups()
            + metrics.summary.num_groups()
    }

    /// Appends one export request in protobuf: all of it, or on an error nothing.
    ///
    /// Single records that do not fit the tables are left out and counted. `received_at`
    /// (nanoseconds since the epoch) stands in for times that OTLP does not give.
    ///
    /// # Errors
    /// [`AppendError`]: malformed bytes, a limit passed, or builders that are full.
    pub fn append(
        &mut self,
        payload: &[u8],
        signal: Signal,
        received_at: u64,
    ) -> Result<Appended, AppendError> {
        self.check_room(payload)?;
        let held = payload.len();
        self.append_request(payload, signal, received_at, None, held)
    }

    /// Appends one export request in OTLP/JSON, or several, one a line: all of it, or nothing.
    ///
    /// As [`BatchBuilder::append`]; values that OTLP/JSON does not have there cost their record.
    ///
    /// # Errors
    /// [`AppendError`]: text that is no such request, a limit passed, or builders that are full.
    pub fn append_json(
        &mut self,
        text: &[u8],
        form: JsonForm,
        signal: Signal,
        received_at: u64,
    ) -> Result<Appended, AppendError> {
        self.check_room(text)?;
        let mut bytes = std::mem::take(&mut self.transcoded);
        let appended = otlp_json::transcode(text, &mut bytes, signal, form, &self.limits).and_then(
            |transcoded| {
                let held = text.len() + bytes.capacity() + transcoded.memory_bytes();
                let json = Some(&transcoded);
                self.append_request(bytes.as_slice(), signal, received_at, json, held)
            },
        );
        if bytes.capacity() <= KEPT_TRANSCODED_BYTES {
            bytes.clear();
            self.transcoded = bytes;
        }
        appended
    }

    fn check_room(&self, payload: &[u8]) -> Result<(), AppendError> {
        let limit = self.limits.payload_bytes.min(Limits::MAX_PAYLOAD_BYTES);
        if payload.len() > limit {
            return Err(AppendError::TooLarge(Excess::PayloadBytes {
                found: payload.len(),
                limit,
            }));
        }
        if self.size.bytes >= FULL_COLUMN_BYTES {
            return Err(AppendError::Full);
        }
        Ok(())
    }

    fn append_request(
        &mut self,
        payload: &[u8],
        signal: Signal,
        received_at: u64,
        json: Option<&Transcoded<'_>>,
        held: usize,
    ) -> Result<Appended, AppendError> {
        let total = self.limits.memory(json.map_or(payload.len(), Transcoded::text_len));
        // An eighth is what the allocator keeps beside buffers, and buffers beside their content.
        let rows = total.saturating_sub(held) / 8 * 7;
        let memory = Memory { total, rows };
        let owners = self.owners.take();
        let mut request =
            Request::new(self.limits, payload, received_at, self.stamp, memory, owners);
        self.recover();
        self.is_open = true;
        // What the text had and these bytes have not counts all the same.
        request.records = json.map_or(0, |json| json.tally.rejected as usize);
        request.rejected = request.records;
        let result = match signal {
            Signal::Logs => {
                let rows = self.logs.rows(Table::Logs, LogColumns::default);
                logs::append(rows, &mut request, payload)
            }
            Signal::Traces => {
                let rows = self.traces.rows(Table::Traces, SpanColumns::default);
                traces::append(rows, &mut request, payload)
            }
            Signal::Metrics => metrics::append(&mut self.metrics, &mut request, payload),
        };
        self.stamp = request.stamp;
        if let Err(fault) = result {
            self.rollback();
            self.is_open = false;
            return Err(explain(fault, signal, payload, &self.limits));
        }
        self.owners = request.owners.take().and_then(Owners::idle);
        let added = self.commit();
        self.is_open = false;
        self.plain.allowed = self.plain.allowed.saturating_add(total);
        self.plain.repeated += request.repeated_bytes();
        self.size.rows += added.rows;
        self.size.bytes += added.bytes;
        Ok(Appended {
            accepted: added.rows,
            rejected: request.rejected,
            undated: request.undated,
            message: message(&request, signal, payload, json),
            notes: request.renderer.notes,
        })
    }

    /// Undoes what a request left behind that ended in the middle, by a bug here.
    fn recover(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.rollback();
        }
    }

    fn commit(&mut self) -> Size {
        let metrics = &mut self.metrics;
        let sizes = [
            self.logs.commit(),
            self.traces.commit(),
            metrics.gauge.commit(),
            metrics.sum.commit(),
            metrics.histogram.commit(),
            metrics.exponential_histogram.commit(),
            metrics.summary.commit(),
        ];
        Size {
            rows: sizes.iter().map(|s| s.rows).sum(),
            bytes: sizes.iter().map(|s| s.bytes).sum(),
        }
    }

    fn rollback(&mut self) {
        let metrics = &mut self.metrics;
        self.logs.rollback();
        self.traces.rollback();
        metrics.gauge.rollback();
        metrics.sum.rollback();
        metrics.histogram.rollback();
        metrics.exponential_histogram.rollback();
        metrics.summary.rollback();
    }

    /// Gives the rows as Arrow batches, one per (table, service, hour) in order of table and
    /// first appearance, and leaves the builders empty.
    ///
    /// Plain strings whose text would pass 1 GiB in a column take several batches.
    ///
    /// # Errors
    /// [`FinishError::TooLarge`] where resource, scope and metric values, written into every row
    /// as plain strings, take more memory than the requests were allowed: nothing is done then.
    /// None else that an input can cause.
    pub fn finish(&mut self, strings: Strings) -> Result<Vec<TableBatch>, FinishError> {
        self.finish_with(strings, make_checked_text)
    }

    /// As `finish`, with the caller's way to make text arrays.
    ///
    /// # Errors
    /// Those of `finish`, and of `make_text`.
    pub fn finish_with(
        &mut self,
        strings: Strings,
        make_text: MakeText,
    ) -> Result<Vec<TableBatch>, FinishError> {
        self.recover();
        let Plain { allowed, repeated } = self.plain;
        if strings == Strings::Plain && repeated > allowed as u64 {
            return Err(FinishError::TooLarge(Excess::RepeatedBytes { limit: allowed as u64 }));
        }
        self.plain = Plain::default();
        if self.transcoded.capacity() > KEPT_IDLE_BYTES {
            self.transcoded = ByteBuffer::default();
        }
        let mut out = Vec::with_capacity(self.num_groups());
        self.size = Size::default();
        let metrics = &mut self.metrics;
        self.logs.finish(strings, make_text, &mut out)?;
        self.traces.finish(strings, make_text, &mut out)?;
        metrics.gauge.finish(strings, make_text, &mut out)?;
        metrics.sum.finish(strings, make_text, &mut out)?;
        metrics.histogram.finish(strings, make_text, &mut out)?;
        metrics.exponential_histogram.finish(strings, make_text, &mut out)?;
        metrics.summary.finish(strings, make_text, &mut out)?;
        Ok(out)
    }

    /// As `finish` with plain strings, without the short way that small tables have.
    #[cfg(test)]
    pub(crate) fn finish_ordinary_tables(&mut self) -> Vec<TableBatch> {
        let (mut out, metrics) = (Vec::new(), &mut self.metrics);
        (self.size, self.plain) = (Size::default(), Plain::default());
        self.logs.finish_ordinary(&mut out);
        self.traces.finish_ordinary(&mut out);
        metrics.gauge.finish_ordinary(&mut out);
        metrics.sum.finish_ordinary(&mut out);
        metrics.histogram.finish_ordinary(&mut out);
        metrics.exponential_histogram.finish_ordinary(&mut out);
        metrics.summary.finish_ordinary(&mut out);
        out
    }
}

/// Why a finish gives nothing.
#[derive(Debug)]
pub enum FinishError {
    /// The plain strings would take more memory than the requests were allowed.
    TooLarge(Excess),
    /// Arrow refused columns that were built here.
    Arrow(ArrowError),
}

impl From<ArrowError> for FinishError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, StringArray};

    use super::*;
    use crate::test_support::field;

    /// A request of one log record.
    fn log(record: &[u8]) -> Vec<u8> {
        field(1, &field(2, &field(2, record)))
    }

    /// An attribute of a log record, whose value is this member of AnyValue.
    fn attribute(member: u8, content: &[u8]) -> Vec<u8> {
        field(6, &field(2, &field(member, content)))
    }

    #[test]
    fn memory_after_a_finish_is_the_room_that_is_kept() {
        let mut builder = BatchBuilder::new(Limits::default());
        assert_eq!(builder.num_memory_bytes(), 0);
        let small = log(&field(3, b"WARN"));
        builder.append(&small, Signal::Logs, 1).unwrap();
        assert_eq!(builder.finish(Strings::Plain).unwrap().len(), 1);
        let kept = builder.num_memory_bytes();
        let rows = builder.logs.rows(Table::Logs, LogColumns::default);
        let columns = rows.memory_bytes();
        assert!(columns > 0 && (columns..160 << 10).contains(&kept), "{kept}, {columns}");
        // It is used again, and does not grow.
        for _ in 0..100 {
            builder.append(&small, Signal::Logs, 1).unwrap();
            assert!(builder.num_memory_bytes() >= kept);
            builder.finish(Strings::Plain).unwrap();
        }
        assert_eq!(builder.num_memory_bytes(), kept);
        // A large table's columns keep nothing.
        let large = log(&attribute(1, &[b'x'; 1 << 20]));
        builder.append(&large, Signal::Logs, 1).unwrap();
        assert!(builder.num_memory_bytes() > 1 << 20);
        builder.finish(Strings::Plain).unwrap();
        assert!(builder.num_memory_bytes() < 64 << 10, "{}", builder.num_memory_bytes());
        let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
        for strings in [Strings::Plain, Strings::Dictionary] {
            let text = [&json[..], &[b' '; 4 << 20]].concat();
            builder.append_json(&text, JsonForm::Document, Signal::Logs, 1).unwrap();
            builder.finish(strings).unwrap();
            assert!(builder.num_memory_bytes() < 320 << 10, "{}", builder.num_memory_bytes());
        }
    }

    #[test]
    fn memory_after_a_rejection_is_what_was_not_given_back() {
        let mut builder = BatchBuilder::new(Limits { depth: 0, ..Limits::default() });
        // The second attribute is a list, which is too deep; the first has been rendered by then.
        let request = log(&[attribute(1, &[b'x'; 1 << 20]), attribute(5, b"")].concat());
        let appended = builder.append(&request, Signal::Logs, 1).unwrap();
        assert_eq!((appended.accepted, appended.rejected), (0, 1));
        let rows = builder.logs.rows(Table::Logs, LogColumns::default);
        let columns = rows.memory_bytes();
        assert!(columns < 512 << 10, "{columns}");
        assert!(builder.num_memory_bytes() >= columns);
        // A refused request leaves no more.
        assert!(builder.append(&request[..request.len() - 1], Signal::Logs, 1).is_err());
        let rows = builder.logs.rows(Table::Logs, LogColumns::default);
        let columns = rows.memory_bytes();
        assert!((columns..512 << 10).contains(&builder.num_memory_bytes()));
    }

    #[test]
    fn a_scope_that_comes_again_is_that_of_all_its_rows_and_is_noted_each_time() {
        let resource = |scope: &[u8], schema_url: &[u8]| {
            let scope_logs = [field(1, scope), field(2, b""), field(3, schema_url)].concat();
            field(1, &field(2, &scope_logs))
        };
        let (plain, unknown) = (field(1, b"a"), [field(1, b"b"), field(15, b"?")].concat());
        let (mended, deep) = (field(1, b"c\xff"), field(3, &field(2, &field(5, b""))));
        let request = [
            resource(&plain, b""),
            resource(&plain, b""),
            resource(&plain, b"url"),
            resource(&plain, b"url"),
            resource(&unknown, b""),
            resource(&unknown, b""),
            resource(&mended, b""),
            resource(&mended, b""),
            resource(&deep, b""),
            resource(&deep, b""),
            resource(&plain, b""),
        ];
        let mut builder = BatchBuilder::new(Limits { depth: 0, ..Limits::default() });
        let appended = builder.append(&request.concat(), Signal::Logs, 1).unwrap();
        assert_eq!((appended.accepted, appended.rejected), (9, 2));
        assert_eq!((appended.notes.unknown_fields, appended.notes.replaced_text), (2, 2));
        let batch = builder.finish(Strings::Plain).unwrap()[0].record_batch().unwrap();
        let texts = |name: &str| {
            let texts = batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>();
            let texts = texts.unwrap().iter().map(|text| text.unwrap_or("-").to_owned());
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts("ScopeName"), "a a a a b b c\u{fffd} c\u{fffd} a");
        assert_eq!(texts("ScopeSchemaUrl"), "- - url url - - - - -");
    }

    #[test]
    fn an_append_that_a_bug_ended_halfway_leaves_no_row() {
        // One log record.
        let payload = [0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];
        for strings in [Strings::Plain, Strings::Dictionary] {
            let mut builder = BatchBuilder::new(Limits::default());
            builder.append(&payload, Signal::Logs, 1).unwrap();
            // What a panic leaves behind: rows that nobody committed.
            let memory = Memory { total: 1 << 20, rows: 1 << 20 };
            let mut request =
                Request::new(builder.limits, &payload, 1, builder.stamp, memory, None);
            builder.is_open = true;
            let rows = builder.logs.rows(Table::Logs, LogColumns::default);
            logs::append(rows, &mut request, &payload).unwrap();
            if strings == Strings::Plain {
                assert_eq!(builder.append(&payload, Signal::Logs, 1).unwrap().accepted, 1);
            }
            let rows = builder.num_rows();
            let batches = builder.finish(strings).unwrap();
            assert_eq!(batches.iter().map(TableBatch::num_rows).sum::<usize>(), rows);
        }
    }
}
