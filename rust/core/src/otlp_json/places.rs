//! Where a byte of JSON text stands: the keys that lead to it, as OTLP names them.
//!
//! Off the hot path, by a second walk. Keys that OTLP does not know are never named: they are
//! the sender's own text.

use super::messages::{Kind, Message};
use super::reader::Reader;
use super::strings::unescaped;

/// The path of the innermost known field whose value holds `at`, from the value at `start` on.
pub(super) fn locate(message: &'static Message, text: &[u8], start: usize, at: usize) -> String {
    let mut path = String::new();
    let mut reader = Reader { text, at: start };
    let mut inside = Some(Kind::Message(message));
    while let Some(kind) = inside {
        inside = step(&mut reader, kind, at, &mut path);
    }
    path
}

/// Goes into the member or item of the value at hand that holds `at`, if there is one.
fn step(reader: &mut Reader<'_>, kind: Kind, at: usize, path: &mut String) -> Option<Kind> {
    match kind {
        Kind::Message(message) => into_member(reader, message, at, path),
        Kind::Messages(message) | Kind::Records(message) | Kind::Groups(message) => {
            into_item(reader, at, path).then_some(Kind::Message(message))
        }
        Kind::Texts | Kind::Doubles | Kind::Uint64s | Kind::Fixed64s => {
            into_item(reader, at, path);
            None
        }
        _ => None,
    }
}

fn into_member(
    reader: &mut Reader<'_>,
    message: &'static Message,
    at: usize,
    path: &mut String,
) -> Option<Kind> {
    if !reader.take(b'{') {
        return None;
    }
    while reader.peek() == b'"' && reader.at <= at {
        let key = reader.read_string().ok()?;
        reader.read_colon().ok()?;
        reader.peek();
        let start = reader.at;
        if holds(reader, at) {
            let field = &message.fields[message.find(&unescaped(key))?];
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(field.name());
            reader.at = start;
            return Some(field.kind);
        }
        if !reader.take(b',') {
            return None;
        }
        reader.peek();
    }
    None
}

fn into_item(reader: &mut Reader<'_>, at: usize, path: &mut String) -> bool {
    if !reader.take(b'[') {
        return false;
    }
    let mut index = 0_usize;
    loop {
        reader.peek();
        let start = reader.at;
        if start > at {
            return false;
        }
        if holds(reader, at) {
            path.push_str(&format!("[{index}]"));
            reader.at = start;
            return true;
        }
        if !reader.take(b',') {
            return false;
        }
        index += 1;
    }
}

/// Passes over the value at hand; whether it holds `at`. A value that breaks off holds the rest.
fn holds(reader: &mut Reader<'_>, at: usize) -> bool {
    let start = reader.at;
    match reader.skip_value() {
        Ok(()) => (start..reader.at).contains(&at),
        Err(_) => at >= start,
    }
}
