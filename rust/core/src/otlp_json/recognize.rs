//! Whose request a JSON document is, by the keys at its top; and whether it is all there.
//!
//! For captures, which nobody labels. A request that is received names its signal in its path.

use super::fault::{Fault, Result, Trouble};
use super::reader::Reader;
use super::strings::unescaped;
use crate::signal::Signal;

/// How a text ends, taken as one JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonEnd {
    /// With the document.
    Whole,
    /// Inside of the document: more text may complete it.
    Cut,
    /// Not at all as JSON: no more text can make it a document.
    Broken,
}

/// How `text` ends, and the signals whose resources the object at its top holds.
#[must_use]
pub fn recognize_json(text: &[u8]) -> (JsonEnd, Vec<Signal>) {
    let mut reader = Reader { text, at: 0 };
    let mut signals = Vec::new();
    let end = match read_keys(&mut reader, &mut signals) {
        Ok(()) => JsonEnd::Whole,
        // White space at the end belongs to no token.
        Err(Fault(trouble)) => match *trouble {
            Trouble::Malformed(finding) if finding.at >= text.trim_ascii_end().len() => {
                JsonEnd::Cut
            }
            _ => JsonEnd::Broken,
        },
    };
    (end, signals)
}

fn read_keys(reader: &mut Reader<'_>, signals: &mut Vec<Signal>) -> Result<()> {
    if !reader.take(b'{') {
        reader.skip_value()?;
    } else if !reader.take(b'}') {
        loop {
            if reader.peek() != b'"' {
                return Err(reader.unexpected("a key in quotes"));
            }
            let key = reader.read_string()?;
            reader.read_colon()?;
            let signal = match unescaped(key).as_ref() {
                b"resourceLogs" | b"resource_logs" => Some(Signal::Logs),
                b"resourceSpans" | b"resource_spans" => Some(Signal::Traces),
                b"resourceMetrics" | b"resource_metrics" => Some(Signal::Metrics),
                _ => None,
            };
            signals.extend(signal.filter(|signal| !signals.contains(signal)));
            reader.skip_value()?;
            if reader.take(b'}') {
                break;
            }
            if !reader.take(b',') {
                return Err(reader.unexpected("a comma or a closing brace"));
            }
        }
    }
    reader.peek();
    if reader.at < reader.text.len() {
        Err(reader.unexpected("the end of the text"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JsonEnd::{Broken, Cut, Whole};
    use Signal::{Logs, Metrics, Traces};

    #[test]
    fn keys_at_the_top_tell_the_signal() {
        for (text, end, signals) in [
            ("{}", Whole, vec![]),
            ("[]", Whole, vec![]),
            (r#"{"resourceLogs":[]}"#, Whole, vec![Logs]),
            (r#" {"a":{"resourceLogs":[]} , "resource_spans" : null } "#, Whole, vec![Traces]),
            (
                r#"{"resourceMetrics":[],"resourceLogs":[],"resource_logs":1}"#,
                Whole,
                vec![Metrics, Logs],
            ),
            (r#"{"resourceLogs":[{"a":"#, Cut, vec![Logs]),
            ("{\"resourceLogs\":[ \n", Cut, vec![Logs]),
            ("{", Cut, vec![]),
            ("", Cut, vec![]),
            (r#"{"resourceLogs":[}"#, Broken, vec![Logs]),
            (r#"{"resourceLogs":[]}}"#, Broken, vec![Logs]),
            (r#"s":[]}"#, Broken, vec![]),
        ] {
            assert_eq!(recognize_json(text.as_bytes()), (end, signals), "{text}");
        }
    }
}
