//! Whether bytes are a well-formed message where the tables have no use for it.
//!
//! That is a rejected record, or the loser of a `oneof`: off the hot path, by a walk along the message
//! descriptors. The readers in `logs.rs`, `traces.rs` and `metrics/` accept exactly what `check`
//! accepts; a test compares the two with the official parser.

use crate::error::{Fault, Malformed};
use crate::fields::{Descriptor, Field, Kind};
use crate::wire::{Cursor, LEN};

/// The field of a tag, if it is written with its length.
pub(crate) fn field_of(message: &Descriptor, tag: u32) -> Option<&'static Field> {
    if tag & 7 == LEN { message.field(tag) } else { None }
}

/// What a message field is gone into as, and whether it is a list.
pub(crate) fn message_of(kind: Kind) -> Option<(&'static Descriptor, bool)> {
    match kind {
        Kind::Message(inner) => Some((inner, false)),
        Kind::Messages(inner) | Kind::Records(inner) | Kind::Groups(inner) => Some((inner, true)),
        _ => None,
    }
}

/// Malformed bytes and the path of the innermost message that holds them.
pub(crate) struct Broken {
    pub fault: Fault,
    pub path: String,
}

impl Broken {
    /// The same trouble, seen from the message around it.
    #[cold]
    fn within(mut self, name: &str, index: Option<usize>) -> Self {
        let step = match index {
            Some(index) => format!("{name}[{index}]"),
            None => name.to_owned(),
        };
        self.path = if self.path.is_empty() { step } else { format!("{step}.{}", self.path) };
        self
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self { fault, path: String::new() }
    }
}

/// Whether `bytes` are a well-formed message; values nested deeper than `depth` are not entered.
pub(crate) fn check(message: &Descriptor, bytes: &[u8], depth: usize) -> Result<(), Broken> {
    let mut cursor = Cursor::new(bytes);
    while let Some(tag) = cursor.next_tag()? {
        let Some(&Field { snake: name, kind, .. }) = field_of(message, tag) else {
            cursor.skip(tag)?;
            continue;
        };
        let value = cursor.read_len()?;
        if let Some((inner, is_list)) = message_of(kind) {
            let Some(depth) = depth.checked_sub(usize::from(inner.nests)) else { continue };
            check(inner, value, depth).map_err(|broken| {
                let index = is_list.then(|| count_before(bytes, tag, value));
                broken.within(name, index)
            })?;
            continue;
        }
        match kind {
            Kind::Fixed64s | Kind::Doubles if value.len() % 8 != 0 => {
                return Err(
                    Broken::from(Fault::wire(value, Malformed::PackedLength)).within(name, None)
                );
            }
            Kind::Uint64s => {
                let mut packed = Cursor::new(value);
                while !packed.is_empty() {
                    packed.read_varint().map_err(|e| Broken::from(e).within(name, None))?;
                }
            }
            // Anything whose content is not looked into: text, bytes.
            _ => {}
        }
    }
    Ok(())
}

/// How many fields with this tag stand before `value` in the message.
#[cold]
pub(crate) fn count_before(message: &[u8], tag: u32, value: &[u8]) -> usize {
    let mut count = 0;
    let mut cursor = Cursor::new(message);
    while let Ok(Some(found)) = cursor.next_tag() {
        if found != tag {
            if cursor.skip(found).is_err() {
                break;
            }
            continue;
        }
        match cursor.read_len() {
            Ok(earlier) if !std::ptr::eq(earlier, value) => count += 1,
            _ => break,
        }
    }
    count
}
