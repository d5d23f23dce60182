//! What a sender is told: errors and rejections with their places, and what became of a request.
//!
//! Off the hot path. An error there is an address and a kind; the byte offset and the field path are
//! found here, by walking the payload once more along the message descriptors. Messages hold counts,
//! reasons and places, never payload.

use crate::error::{AppendError, Fault, Format, Reject, Trouble};
use crate::fields::{Descriptor, Field};
use crate::limits::Limits;
use crate::otlp_json::{MAX_EXPLAINED, Transcoded};
use crate::request::Request;
use crate::signal::Signal;
use crate::well_formed::{self, count_before, field_of, message_of};
use crate::wire::Cursor;

/// The error of a request that is refused.
#[cold]
pub(crate) fn explain(
    fault: Fault,
    signal: Signal,
    payload: &[u8],
    limits: &Limits,
) -> AppendError {
    let offset = |address: usize| address.saturating_sub(payload.as_ptr() as usize);
    // A second walk meets malformed bytes again, and knows the way to them.
    let (fault, path) = match well_formed::check(signal.descriptor(), payload, limits.depth) {
        Err(broken) => (broken.fault, broken.path),
        Ok(()) => (fault, String::new()),
    };
    match *fault.0 {
        Trouble::Limit(excess) => AppendError::TooLarge(excess),
        Trouble::Wire { address, kind } => {
            let (format, message) = (Format::Protobuf, kind.to_string());
            AppendError::Malformed { format, message, offset: offset(address), path }
        }
        // Rejects end at their record; one that came here would be placed like malformed bytes.
        Trouble::Reject(Reject { address, misfit }) => AppendError::Malformed {
            format: Format::Protobuf,
            message: misfit.describe(limits),
            offset: offset(address),
            path: locate(signal.descriptor(), payload, address),
        },
    }
}

/// The `error_message` of a partial success: counts, reasons, places; never payload.
pub(crate) fn message(
    request: &Request<'_>,
    signal: Signal,
    payload: &[u8],
    json: Option<&Transcoded<'_>>,
) -> String {
    let mut parts = Vec::new();
    let mut reasons = json.map_or_else(Vec::new, Transcoded::reasons);
    let explained = (reasons.len() + request.first_rejects.len()).min(MAX_EXPLAINED);
    for reject in &request.first_rejects {
        let path = locate(signal.descriptor(), payload, reject.address);
        let why = reject.misfit.describe(request.limits());
        reasons.push(match json {
            None => format!("{}: {why}", shorten(path)),
            Some(json) => {
                let offset = reject.address.saturating_sub(payload.as_ptr() as usize);
                json.reason(offset, &path, &why)
            }
        });
    }
    reasons.dedup();
    reasons.truncate(MAX_EXPLAINED);
    let left_out = json.map_or(0, |json| json.tally.empty_groups as usize);
    if request.rejected + left_out > 0 {
        let more = if request.rejected + left_out > explained { "; …" } else { "" };
        let groups = if left_out > 0 { " and parts without any" } else { "" };
        parts.push(format!(
            "rejected {} {}{groups}: {}{more}",
            request.rejected,
            signal.records(),
            reasons.join("; ")
        ));
    }
    let replaced = request.renderer.notes.replaced_text;
    if replaced > 0 {
        let what = if json.is_some() { " or lone surrogates" } else { "" };
        parts.push(format!("replaced {replaced} invalid UTF-8 sequences{what} by U+FFFD"));
    }
    let unknown_values = json.map_or(0, |json| json.tally.unknown_values);
    if unknown_values > 0 {
        parts.push(format!("read {unknown_values} values without a known member as null"));
    }
    let base64_ids = json.map_or(0, |json| json.tally.base64_ids);
    if base64_ids > 0 {
        parts.push(format!("read {base64_ids} ids as base64, expected hex"));
    }
    if left_out == 0
        && let Some(unknown) = unknown_instead(request, signal, payload, json)
    {
        parts.push(format!("{unknown}, and no {}", signal.records()));
    }
    parts.join("; ")
}

/// "When a request that is not empty yields no record at all": the first thing in it that OTLP
/// does not know, and its place.
fn unknown_instead(
    request: &Request<'_>,
    signal: Signal,
    payload: &[u8],
    json: Option<&Transcoded<'_>>,
) -> Option<String> {
    if let Some(json) = json {
        return json.unknown_instead();
    }
    let (address, number) = request.renderer.first_unknown.filter(|_| request.records == 0)?;
    let path = locate(signal.descriptor(), payload, address);
    let place = if path.is_empty() { String::new() } else { format!("{}: ", shorten(path)) };
    Some(format!("{place}found the unknown field {number}"))
}

/// A path at a length that answers can carry: the way into 64 nested values is long.
pub(crate) fn shorten(mut path: String) -> String {
    const MAX_PATH: usize = 160;
    if path.len() > MAX_PATH {
        // Paths are ASCII: the names of fields, digits and dots.
        path.truncate(MAX_PATH);
        path.push('…');
    }
    path
}

/// The dotted path of the innermost message whose bytes hold `address`.
pub(crate) fn locate(root: &Descriptor, payload: &[u8], address: usize) -> String {
    let mut path = String::new();
    let (mut message, mut bytes) = (root, payload);
    while let Some((step, inner, value)) = enclosing_message(message, bytes, address) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step);
        (message, bytes) = (inner, value);
    }
    path
}

fn enclosing_message<'a>(
    message: &Descriptor,
    bytes: &'a [u8],
    address: usize,
) -> Option<(String, &'static Descriptor, &'a [u8])> {
    let mut cursor = Cursor::new(bytes);
    while let Ok(Some(tag)) = cursor.next_tag() {
        let Some(&Field { snake: name, kind, .. }) = field_of(message, tag) else {
            cursor.skip(tag).ok()?;
            continue;
        };
        let value = cursor.read_len().ok()?;
        let start = value.as_ptr() as usize;
        if (start..start + value.len()).contains(&address) {
            let (inner, is_list) = message_of(kind)?;
            let step = if is_list {
                format!("{name}[{}]", count_before(bytes, tag, value))
            } else {
                name.to_owned()
            };
            return Some((step, inner, value));
        }
    }
    None
}
