//! The short cut for a KeyValue as nearly every sender spells it.
//!
//! Most of the text of a request is `{"key":"…","value":{"stringValue":"…"}}`, in this order and
//! without white space. Anything else takes the general way, and leaves no trace here.

use std::ops::Range;

use super::numbers::{plain_digits, short_double};
use super::reader::{Reader, end_of_plain};
use crate::columns::ByteBuffer;
use crate::fields::{any_value, key_value};

const KEY: u8 = key_value::KEY as u8;
const VALUE: u8 = key_value::VALUE as u8;

/// Reads a KeyValue of the usual form that is at hand, and writes it; false if it is another.
#[inline(always)]
pub(super) fn push_usual_key_value(
    out: &mut ByteBuffer,
    reader: &mut Reader<'_>,
    tag: u32,
) -> bool {
    let text = reader.text;
    if !reader.rest().starts_with(br#"{"key":""#) {
        return false;
    }
    let key_at = reader.at + br#"{"key":""#.len();
    let key_end = end_of_plain(text, key_at);
    let Some(rest) = text[key_end..].strip_prefix(br#"","value":{""#) else { return false };
    let at = text.len() - rest.len();
    if let Some(rest) = rest.strip_prefix(br#"stringValue":""#) {
        let start = text.len() - rest.len();
        let end = end_of_plain(text, start);
        if !text[end..].starts_with(br#""}}"#)
            || !push_string(out, tag, text, key_at..key_end, start..end)
        {
            return false;
        }
        reader.at = end + br#""}}"#.len();
        return true;
    }
    let Some((value, len)) = usual_scalar(rest) else { return false };
    if !push_scalar(out, tag, &text[key_at..key_end], value) {
        return false;
    }
    reader.at = at + len;
    true
}

enum Scalar {
    Int(u64),
    Double(f64),
    Bool(bool),
}

/// An int, double or bool member, and the length of it up to the end of the KeyValue.
#[inline(always)]
fn usual_scalar(rest: &[u8]) -> Option<(Scalar, usize)> {
    let (value, after) = if let Some(text) = rest.strip_prefix(br#"intValue":""#) {
        let (value, len) = plain_digits(text).filter(|digits| digits.0 <= i64::MAX as u64)?;
        (Scalar::Int(value), text[len..].strip_prefix(b"\"")?)
    } else if let Some(text) = rest.strip_prefix(br#"doubleValue":"#) {
        let (value, len) = short_double(text)?;
        (Scalar::Double(value), &text[len..])
    } else if let Some(text) = rest.strip_prefix(br#"intValue":"#) {
        let (value, len) = plain_digits(text).filter(|digits| digits.0 <= i64::MAX as u64)?;
        (Scalar::Int(value), &text[len..])
    } else if let Some(text) = rest.strip_prefix(br#"boolValue":true"#) {
        (Scalar::Bool(true), text)
    } else if let Some(text) = rest.strip_prefix(br#"boolValue":false"#) {
        (Scalar::Bool(false), text)
    } else {
        return None;
    };
    let after = after.strip_prefix(b"}}")?;
    Some((value, rest.len() - after.len()))
}

/// The longest KeyValue whose lengths take a byte each.
const LONGEST: usize = 0x7f;
/// Texts are copied in blocks of a size that the compiler knows, past their ends.
const BLOCK: usize = 32;

/// Writes a KeyValue of a text; false if it would need lengths of two bytes.
#[inline(always)]
fn push_string(
    out: &mut ByteBuffer,
    tag: u32,
    text: &[u8],
    key: Range<usize>,
    value: Range<usize>,
) -> bool {
    const STRING: u8 = any_value::STRING_VALUE as u8;
    let (key_len, value_len) = (key.len(), value.len());
    let len = key_len + value_len + 6;
    if len > LONGEST {
        return false;
    }
    let to = out.room::<{ 2 + LONGEST + BLOCK }>();
    to[0] = tag as u8;
    to[1] = len as u8;
    to[2] = KEY;
    to[3] = key_len as u8;
    copy(&mut to[4..], text, key);
    let to = &mut to[4 + key_len..];
    to[0] = VALUE;
    to[1] = (value_len + 2) as u8;
    to[2] = STRING;
    to[3] = value_len as u8;
    copy(&mut to[4..], text, value);
    out.advance(len + 2);
    true
}

/// Copies a part of the text to the front of `to`, where there is room for a block more.
#[inline(always)]
fn copy(to: &mut [u8], text: &[u8], part: Range<usize>) {
    if part.len() <= BLOCK
        && let Some(block) = text[part.start..].first_chunk::<BLOCK>()
        && let Some(to) = to.first_chunk_mut::<BLOCK>()
    {
        *to = *block;
        return;
    }
    to[..part.len()].copy_from_slice(&text[part]);
}

#[inline(always)]
fn push_scalar(out: &mut ByteBuffer, tag: u32, key: &[u8], value: Scalar) -> bool {
    // A value takes at most a tag and a varint of ten bytes.
    if key.len() + 4 + 11 >= 0x80 {
        return false;
    }
    let start = out.len();
    out.extend_from_slice(&[tag as u8, 0, KEY, key.len() as u8]);
    out.extend_from_slice(key);
    out.extend_from_slice(&[VALUE, 0]);
    let value_start = out.len();
    match value {
        Scalar::Int(value) => {
            out.push(any_value::INT_VALUE as u8);
            super::output::push_varint(out, value);
        }
        Scalar::Double(value) => {
            out.push(any_value::DOUBLE_VALUE as u8);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::Bool(value) => {
            out.extend_from_slice(&[any_value::BOOL_VALUE as u8, u8::from(value)]);
        }
    }
    let end = out.len();
    let bytes = out.as_mut_slice();
    bytes[start + 1] = (end - start - 2) as u8;
    bytes[value_start - 1] = (end - value_start) as u8;
    true
}

// Attribute lists have one-byte tags wherever they stand.
const _: () = {
    use crate::fields::{event, exemplar, link, log_record, metric, resource, scope, span};
    assert!(resource::ATTRIBUTES < 0x80 && scope::ATTRIBUTES < 0x80);
    assert!(log_record::ATTRIBUTES < 0x80 && metric::METADATA < 0x80);
    assert!(span::ATTRIBUTES < 0x80 && event::ATTRIBUTES < 0x80 && link::ATTRIBUTES < 0x80);
    assert!(exemplar::FILTERED_ATTRIBUTES < 0x80);
};
