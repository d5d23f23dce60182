//! Where a byte of JSON text stands: the keys that lead to it, as OTLP names them.
//!
//! Off the hot path, by a second walk: one, however deep the place is and whatever stands before
//! it. Keys that OTLP does not know are never named: they are the sender's own text.

use super::reader::Reader;
use super::strings::unescaped;
use crate::fields::{Descriptor, Kind};

/// An object or list that the walk is inside of.
enum Frame {
    /// The members of a message, and the one at hand.
    Object(&'static Descriptor, Option<&'static str>),
    /// The items of a list, and the index of the one at hand.
    List(Kind, usize),
}

/// Deeper than this the walk passes over values: what OTLP allows ends long before, and each level
/// takes memory.
const MOST_FRAMES: usize = 512;

/// The path of the innermost known field whose value holds `at`, from the value at `start` on.
pub(super) fn locate(message: &'static Descriptor, text: &[u8], start: usize, at: usize) -> String {
    let mut frames = Vec::new();
    let mut reader = Reader { text, at: start };
    // `None`: the text breaks off, or the place is in a value that has no path of its own.
    let _ = walk(&mut reader, message, at, &mut frames);
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object(_, Some(name)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Frame::List(_, index) => path.push_str(&format!("[{index}]")),
            Frame::Object(_, None) => {}
        }
    }
    path
}

/// Walks to the place; what it is inside of then is in `frames`.
fn walk(
    reader: &mut Reader<'_>,
    message: &'static Descriptor,
    at: usize,
    frames: &mut Vec<Frame>,
) -> Option<()> {
    let mut kind = Some(Kind::Message(message));
    loop {
        // A value is at hand. Those that begin at the place or behind it are not gone into.
        reader.peek();
        let inside = kind.filter(|_| reader.at < at && frames.len() < MOST_FRAMES);
        match inside.and_then(|kind| frame_of(kind, reader.byte())) {
            Some(frame) => {
                reader.at += 1;
                if !matches!(reader.peek(), b'}' | b']') {
                    frames.push(frame);
                    kind = begin(reader, frames, at)?;
                    continue;
                }
                reader.at += 1;
            }
            None => reader.skip_value().ok()?,
        }
        // A value ended: the place was in it, or the walk goes on behind it.
        loop {
            if reader.at > at {
                return Some(());
            }
            match (reader.peek(), frames.last_mut()?) {
                (b',', Frame::List(_, index)) => {
                    *index += 1;
                    break;
                }
                (b',', Frame::Object(..)) => break,
                (b'}' | b']', _) => {
                    reader.at += 1;
                    if reader.at > at {
                        step_out(frames);
                        return Some(());
                    }
                    frames.pop();
                }
                _ => {
                    step_out(frames);
                    return None;
                }
            }
        }
        reader.at += 1;
        kind = begin(reader, frames, at)?;
    }
}

/// The place is behind the member or item at hand, in what holds it.
fn step_out(frames: &mut Vec<Frame>) {
    if let Some(Frame::Object(_, name)) = frames.last_mut() {
        *name = None;
    } else {
        frames.pop();
    }
}

/// Goes up to the next value of the innermost object or list; gives its kind, if it has a name.
fn begin(reader: &mut Reader<'_>, frames: &mut [Frame], at: usize) -> Option<Option<Kind>> {
    match frames.last_mut()? {
        Frame::List(kind, _) => Some(Some(*kind)),
        Frame::Object(message, name) => {
            *name = None;
            reader.peek();
            if reader.at > at || reader.byte() != b'"' {
                return None;
            }
            let key = reader.read_string().ok()?;
            reader.read_colon().ok()?;
            reader.peek();
            let field = message.find(&unescaped(key)).map(|index| &message.fields[index]);
            // A place in the key is the object's.
            *name = field.filter(|_| reader.at <= at).map(|field| field.name());
            Some(field.map(|field| field.kind))
        }
    }
}

/// What a value of a kind is gone into as, if it begins as such a value does.
fn frame_of(kind: Kind, first: u8) -> Option<Frame> {
    match (kind, first) {
        (Kind::Message(message) | Kind::Old(message), b'{') => Some(Frame::Object(message, None)),
        (Kind::Messages(message) | Kind::Records(message) | Kind::Groups(message), b'[') => {
            Some(Frame::List(Kind::Message(message), 0))
        }
        (Kind::Texts | Kind::Doubles | Kind::Uint64s | Kind::Fixed64s, b'[') => {
            Some(Frame::List(Kind::Text, 0))
        }
        _ => None,
    }
}
