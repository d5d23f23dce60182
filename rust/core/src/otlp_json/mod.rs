//! OTLP/JSON and JSON lines: text -> protobuf bytes of the same request -> the readers of those.
//!
//! Why a reader of our own, when good JSON libraries exist: the tables' rules want what they
//! refuse (lone surrogates and invalid UTF-8 are mended, not errors; integers are exact in every
//! spelling; values of any size and depth are passed over without recursion), and telling the
//! keys of OTLP apart is most of the work, which a reader that knows the next key need not do
//! twice. Measured on the 1,000 log records of `benchmarks` (584 kB of text): the bare walk over
//! all tokens takes 0.66 ms with jiter 0.19, 0.68 ms as simd-json 0.19's tape, 0.54 ms with
//! sonic-rs 0.5.10; `docs/benchmarks.md` has what the whole way to tables takes here.
//!
//! A line of JSON lines is a request of its own; requests one after another are one request in
//! protobuf, so that is what several lines become.

mod bytes;
mod fault;
mod halfway;
mod lists;
mod numbers;
mod output;
mod places;
mod reader;
mod recognize;
mod scalars;
mod strings;
mod transcoder;
mod usual;

use crate::columns::ByteBuffer;
use crate::error::{AppendError, Format};
use crate::explain::shorten;
use crate::fields::{Descriptor, Field, Kind};
use crate::limits::Limits;
use crate::signal::Signal;
use crate::well_formed::message_of;
pub use recognize::{JsonEnd, recognize_json};

use fault::{Fault, Finding, Trouble};
pub(crate) use transcoder::{MAX_EXPLAINED, Tally};
use transcoder::{Mark, Transcoder, name_of};

/// How JSON text holds export requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonForm {
    /// One request: `application/json`.
    Document,
    /// One request a line, blank lines skipped: `application/x-ndjson`, `application/jsonl`.
    Lines,
}

/// What became of JSON text whose requests are protobuf now.
pub(crate) struct Transcoded<'a> {
    text: &'a [u8],
    signal: Signal,
    form: JsonForm,
    pub tally: Tally,
    marks: Vec<Mark>,
    explained: Vec<Finding>,
    unknown_instead: Option<usize>,
}

/// Writes the protobuf bytes of the requests in `text` to `out`: of all of them, or it is an error.
pub(crate) fn transcode<'a>(
    text: &'a [u8],
    out: &mut ByteBuffer,
    signal: Signal,
    form: JsonForm,
    limits: &Limits,
) -> Result<Transcoded<'a>, AppendError> {
    // Compact text of usual records takes twice the bytes that they take in protobuf.
    out.spare(text.len() / 2);
    let mut transcoder = Transcoder::new(text, out, limits);
    let read = match form {
        JsonForm::Document => read_document(&mut transcoder, signal.descriptor()),
        JsonForm::Lines => read_lines(&mut transcoder, signal.descriptor()),
    };
    let Transcoder { tally, marks, explained, unknown_instead, .. } = transcoder;
    let transcoded = Transcoded { text, signal, form, tally, marks, explained, unknown_instead };
    match read {
        Ok(()) => Ok(transcoded),
        Err(fault) => Err(transcoded.explain(fault)),
    }
}

fn read_document(
    transcoder: &mut Transcoder<'_, '_>,
    message: &'static Descriptor,
) -> fault::Result<()> {
    transcoder.read_request(message)?;
    transcoder.reader.peek();
    if transcoder.reader.at < transcoder.reader.text.len() {
        return Err(transcoder.reader.unexpected("the end of the text"));
    }
    Ok(())
}

/// "One export request a line; blank lines are skipped."
fn read_lines(
    transcoder: &mut Transcoder<'_, '_>,
    message: &'static Descriptor,
) -> fault::Result<()> {
    let text = transcoder.reader.text;
    let mut start = 0;
    while start < text.len() {
        let end = text[start..].iter().position(|&byte| byte == b'\n');
        let end = end.map_or(text.len(), |len| start + len);
        // The reader sees no further than the line: a request over two lines is cut, not read.
        transcoder.reader.text = &text[..end];
        transcoder.reader.at = start;
        transcoder.reader.peek();
        if transcoder.reader.at < end {
            read_document(transcoder, message)?;
        }
        start = end + 1;
    }
    transcoder.reader.text = text;
    Ok(())
}

impl Transcoded<'_> {
    /// Bytes of the text.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory beside text and protobuf.
    pub fn memory_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
    }

    /// Where the request that holds a byte begins, and its number if it is a line.
    fn request_of(&self, at: usize) -> (usize, Option<usize>) {
        if self.form == JsonForm::Document {
            return (0, None);
        }
        let before = &self.text[..at.min(self.text.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        (start, Some(line))
    }

    #[cold]
    fn explain(&self, fault: Fault) -> AppendError {
        match *fault.0 {
            Trouble::Limit(excess) => AppendError::TooLarge(excess),
            Trouble::Malformed(finding) | Trouble::Misfit(finding) => {
                let (start, line) = self.request_of(finding.at);
                AppendError::Malformed {
                    format: Format::Json { line },
                    path: places::locate(self.signal.descriptor(), self.text, start, finding.at),
                    message: finding.message(),
                    offset: finding.at,
                }
            }
        }
    }

    /// The path of a place in the text, behind the number of its line.
    fn place(&self, at: usize) -> (Option<usize>, String) {
        let (start, line) = self.request_of(at);
        (line, places::locate(self.signal.descriptor(), self.text, start, at))
    }

    /// Why things were left out on the way, with their places; the first few.
    pub fn reasons(&self) -> Vec<String> {
        self.explained
            .iter()
            .map(|finding| {
                let (line, path) = self.place(finding.at);
                describe(line, shorten(path), &finding.message())
            })
            .collect()
    }

    /// The first unknown member of the first request without records, and its place.
    pub fn unknown_instead(&self) -> Option<String> {
        let at = self.unknown_instead?;
        let (line, path) = self.place(at);
        let line = line.map_or(String::new(), |line| format!("line {line}: "));
        let path = if path.is_empty() { path } else { format!("{}: ", shorten(path)) };
        Some(format!("{line}{path}found the unknown member {}", name_of(self.text, at)))
    }

    /// Why a record was left out by the readers of protobuf: at `offset` of the bytes, which they
    /// call `path`. That counts only what was kept; people look into what they sent.
    pub fn reason(&self, offset: usize, path: &str, message: &str) -> String {
        let steps = steps(self.signal.descriptor(), path);
        let is_group = |field: &Field| matches!(field.kind, Kind::Groups(_) | Kind::Records(_));
        let level = steps.iter().filter(|(_, field)| field.is_some_and(is_group)).count();
        let before = self.marks.partition_point(|mark| mark.out <= offset);
        let mark = self.marks[..before].iter().rfind(|mark| mark.level == level);
        let (line, mut sent) = mark.map_or((None, String::new()), |mark| self.place(mark.text));
        let sent_steps = if sent.is_empty() { 0 } else { sent.split('.').count() };
        for (step, field) in steps.iter().skip(sent_steps) {
            let (name, index) = step.split_at(step.find('[').unwrap_or(step.len()));
            sent.push('.');
            sent.push_str(field.map_or(name, |field| field.name()));
            sent.push_str(index);
        }
        describe(line, shorten(sent), message)
    }
}

fn describe(line: Option<usize>, path: String, message: &str) -> String {
    match line {
        Some(line) => format!("line {line}: {path}: {message}"),
        None => format!("{path}: {message}"),
    }
}

/// The steps of a path in protobuf's names, with the field that each leads into.
fn steps<'a>(
    message: &'static Descriptor,
    path: &'a str,
) -> Vec<(&'a str, Option<&'static Field>)> {
    let mut inside = Some(message);
    path.split('.')
        .map(|step| {
            let name = step.split('[').next().unwrap_or_default();
            let field = inside.and_then(|message| message.fields.iter().find(|f| f.snake == name));
            inside = field.and_then(|field| message_of(field.kind)).map(|of| of.0);
            (step, field)
        })
        .collect()
}
