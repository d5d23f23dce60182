//! The short cuts for attributes and bodies as nearly every sender spells them.
//!
//! Anything else takes the general way (`value.rs`), and leaves no trace here.

use crate::columns::{BLOCK, ByteBuffer, block_at, block_of, copy_block};
use crate::fields::{any_value, key_value};
use crate::text;
use crate::value::push_double;
use crate::wire::Cursor;

/// The longest beginning of a KeyValue that is looked at as a whole: tags and lengths of key,
/// value and text, a key and a text of a block each.
const HEAD: usize = 6 + 2 * BLOCK;

/// Separator, key, quotes and colon; the text with its quotes, and the rest of its block.
const ROOM: usize = 4 + BLOCK + 2 + 0x80 + BLOCK;

const KEY: u8 = key_value::KEY as u8;
const VALUE: u8 = key_value::VALUE as u8;
const STRING: u8 = any_value::STRING_VALUE as u8;
const BOOL: u8 = any_value::BOOL_VALUE as u8;
const INT: u8 = any_value::INT_VALUE as u8;
const DOUBLE: u8 = any_value::DOUBLE_VALUE as u8;

/// What has been written of a KeyValue.
enum Written {
    /// All of it, in so many bytes.
    Whole(usize),
    /// What stands before its value, in so many bytes, and where in the KeyValue that begins. The
    /// value is a number or none.
    Key(usize, usize),
    /// Nothing that counts: it is of another form.
    Nothing,
}

/// Writes `"key":value` after a separator, if the KeyValue is of the usual form: key and value
/// in this order, the key at most a block long, the value a single scalar shorter than
/// 128 bytes, the text plain ASCII. `head` is the beginning of the KeyValue or of more.
///
/// Nearly every attribute is. This is where most of the time goes, so the text is measured once
/// and written in place; it counts when the buffer is advanced. Anything else takes the general way.
#[inline(always)]
fn write_key_value(to: &mut [u8; ROOM], separator: u8, bytes: &[u8], head: &[u8; HEAD]) -> Written {
    // What is read here lies within the KeyValue or is not used: that it ends where it should is
    // compared once.
    let key_len = usize::from(head[1]);
    if head[0] != KEY || key_len > BLOCK || head[2 + key_len] != VALUE {
        return Written::Nothing;
    }
    let value_len = usize::from(head[3 + key_len]);
    let value_at = 4 + key_len;
    if value_len >= 0x80 || bytes.len() != value_at + value_len {
        return Written::Nothing;
    }
    to[0] = separator;
    to[1] = b'"';
    let key = copy_block(block_at(to, 2), block_of(head, 2), key_len);
    to[key_len + 2] = b'"';
    to[key_len + 3] = b':';
    let at = key_len + 4;
    let text_len = usize::from(head[value_at + 1]);
    if head[value_at] == STRING && text_len + 2 == value_len {
        to[at] = b'"';
        let is_plain = if text_len <= BLOCK {
            let (to, from) = (block_at(to, at + 1), block_of(head, value_at + 2));
            key.or(copy_block(to, from, text_len)).is_none()
        } else {
            let text = &bytes[value_at + 2..];
            key.is_none() && text::copy_plain_ascii(&mut to[at + 1..at + 1 + text_len], text)
        };
        to[at + 1 + text_len] = b'"';
        return if is_plain { Written::Whole(at + text_len + 2) } else { Written::Nothing };
    }
    if !key.is_none() {
        return Written::Nothing;
    }
    match &bytes[value_at..] {
        // A status code, a port, a count: most integers of telemetry are as small.
        [INT, low @ ..0x80] => Written::Whole(at + text::write_tiny_int(block_at(to, at), *low)),
        // The first of two bytes has its high bit, or there would be one; 0x4e << 7 is 9,984.
        [INT, low, high @ ..0x4e] if *low >= 0x80 => {
            let value = u16::from(low & 0x7f) | u16::from(*high) << 7;
            Written::Whole(at + text::write_small_int(block_at(to, at), value))
        }
        _ => Written::Key(at, value_at),
    }
}

/// Appends a number after `at` bytes that have been written; false (and nothing done) if the value
/// is none.
#[inline(always)]
fn push_number(out: &mut ByteBuffer, at: usize, value: &[u8]) -> bool {
    match value {
        [INT, varint @ ..] => {
            let mut cursor = Cursor::new(varint);
            let Ok(value) = cursor.read_varint() else { return false };
            if !cursor.is_empty() {
                return false;
            }
            out.advance(at);
            text::push_int(out, value as i64);
        }
        [DOUBLE, double @ ..] => {
            let Ok(double) = double.try_into() else { return false };
            out.advance(at);
            push_double(out, f64::from_le_bytes(double));
        }
        [BOOL, value @ (0 | 1)] => {
            out.advance(at);
            out.extend_from_slice(if *value == 1 { b"true" } else { b"false" });
        }
        _ => return false,
    }
    true
}

/// Appends `"key":value` after a separator, if the KeyValue is of the usual form. `window` reaches
/// from the KeyValue to the end of the payload.
#[inline]
pub(crate) fn push_usual_key_value(
    out: &mut ByteBuffer,
    separator: u8,
    bytes: &[u8],
    window: &[u8],
) -> bool {
    let Some(head) = window.first_chunk::<HEAD>() else { return false };
    match write_key_value(out.room(), separator, bytes, head) {
        Written::Whole(len) => {
            out.advance(len);
            true
        }
        Written::Key(at, value_at) => push_number(out, at, &bytes[value_at..]),
        Written::Nothing => false,
    }
}

/// From this length on an attribute is none of those that `read_usual_attributes` looks at.
pub(crate) const LONG_ATTRIBUTE: usize = 0x80;

/// Appends a record's attributes as long as they are of the usual form, at most `most` of them;
/// `separator` is the first one's. The cursor is behind the tag of an attribute, and afterwards
/// behind the last one that was appended, or behind the tag of the next one, which is not. Gives how
/// many were appended, and whether there is a next one. `window` reaches from where the cursor is to
/// the end of the payload.
#[inline(always)]
pub(crate) fn read_usual_attributes(
    out: &mut ByteBuffer,
    cursor: &mut Cursor<'_>,
    tag: u8,
    window: &[u8],
    mut separator: u8,
    most: usize,
) -> (usize, bool) {
    // All of this is kept in registers from one attribute to the next.
    let (mut ahead, mut left) = (window, cursor.rest().len());
    let (mut count, mut is_next) = (0, true);
    let mut room = out.initialised();
    let mut written = 0;
    while is_next && count < most {
        let Some(start) = ahead.first_chunk::<{ 1 + HEAD }>() else { break };
        let len = usize::from(start[0]);
        if len >= left || len >= LONG_ATTRIBUTE {
            break;
        }
        let Some(to) = room.first_chunk_mut::<ROOM>() else {
            out.advance(written);
            out.room::<ROOM>();
            (room, written) = (out.initialised(), 0);
            continue;
        };
        let Some((pair, behind)) = ahead[1..].split_at_checked(len) else { break };
        let head = start.last_chunk().expect("a byte less");
        match write_key_value(to, separator, pair, head) {
            Written::Whole(len) => {
                written += len;
                room = &mut room[len..];
            }
            Written::Key(len, value_at) => {
                out.advance(written);
                let is_number = push_number(out, len, &pair[value_at..]);
                (room, written) = (out.initialised(), 0);
                if !is_number {
                    break;
                }
            }
            Written::Nothing => break,
        }
        separator = b',';
        count += 1;
        left -= 1 + len;
        ahead = behind;
        is_next = false;
        if left > 0
            && let Some((&next, rest)) = ahead.split_first()
            && next == tag
        {
            is_next = true;
            left -= 1;
            ahead = rest;
        }
    }
    out.advance(written);
    cursor.pass(cursor.rest().len() - left);
    (count, is_next)
}

/// The key and the value of a KeyValue that is nothing but these, in this order.
#[inline(always)]
pub(crate) fn read_usual_key_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(bytes);
    if !cursor.take_tag(key_value::KEY) {
        return None;
    }
    let key = cursor.read_len().ok()?;
    if !cursor.take_tag(key_value::VALUE) {
        return None;
    }
    let value = cursor.read_len().ok()?;
    cursor.is_empty().then_some((key, value))
}

/// The text of an AnyValue that is just a string.
#[inline(always)]
pub(crate) fn read_usual_string(bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(bytes);
    if !cursor.take_tag(any_value::STRING_VALUE) {
        return None;
    }
    let text = cursor.read_len().ok()?;
    cursor.is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::field;

    /// What is appended for `{"k": value}`, where the value is an int in these bytes.
    fn pushed(varint: &[u8]) -> Option<String> {
        let value = [&[any_value::INT_VALUE as u8], varint].concat();
        let pair = [field(1, b"k"), field(2, &value)].concat();
        let window = [&pair[..], &[0; HEAD]].concat();
        let mut out = ByteBuffer::default();
        let is_pushed = push_usual_key_value(&mut out, b'{', &pair, &window);
        assert_eq!(is_pushed, out.len() > 0);
        is_pushed.then(|| String::from_utf8(out.take()).unwrap())
    }

    #[test]
    fn integers_are_their_digits_and_nothing_else_is_taken_for_one() {
        for value in (0..=20_000_u64).chain([1 << 21, 1 << 62]) {
            let (mut varint, mut left) = (Vec::new(), value);
            while left >= 0x80 {
                varint.push(left as u8 | 0x80);
                left >>= 7;
            }
            varint.push(left as u8);
            assert_eq!(pushed(&varint), Some(format!("{{\"k\":{value}")));
        }
        assert_eq!(pushed(&[0x85, 0x00]).as_deref(), Some("{\"k\":5"));
        // No end, and something behind the end.
        assert_eq!([pushed(&[]), pushed(&[0x85]), pushed(&[0x05, 0x05])], [None, None, None]);
    }
}
