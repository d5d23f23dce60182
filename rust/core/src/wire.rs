//! The protobuf cursor: tags, varints, fixed-width values, lengths, and what is skipped.
//!
//! It knows the wire format and no message. Every read is bounded by the slice it was given,
//! lengths are compared before they are used, and nothing here allocates for what a sender
//! claims. It accepts what the official parsers accept: overlong varints (up to 10 bytes, the
//! bits beyond 64 dropped), tags of up to 5 bytes, unknown fields of every wire type.

use crate::error::{Fault, Malformed};

pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LEN: u32 = 2;
const START_GROUP: u32 = 3;
const END_GROUP: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// How deep groups may nest; the official parsers' bound on recursion.
const MAX_GROUP_DEPTH: usize = 100;

type Result<T> = std::result::Result<T, Fault>;

/// A place in the bytes of one message.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Passes over so many bytes, which are there.
    #[inline(always)]
    pub fn pass(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// What is left of the message.
    #[inline(always)]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Where the cursor is.
    pub fn address(&self) -> usize {
        self.rest.as_ptr() as usize
    }

    /// The next field's tag (`number << 3 | wire type`), or `None` at the end of the message.
    #[inline(always)]
    pub fn next_tag(&mut self) -> Result<Option<u32>> {
        match self.rest.split_first() {
            None => Ok(None),
            Some((&byte, rest)) if (8..0x80).contains(&byte) => {
                self.rest = rest;
                Ok(Some(u32::from(byte)))
            }
            Some(_) => {
                let (tag, rest) = split_long_tag(self.rest)?;
                self.rest = rest;
                Ok(Some(tag))
            }
        }
    }

    /// Passes over the next field's tag if it is this one, in its shortest spelling.
    #[inline(always)]
    pub fn take_tag(&mut self, tag: u32) -> bool {
        // Field numbers up to 15 take one byte, up to 2047 two.
        let rest = if tag < 0x80 {
            self.rest.strip_prefix(&[tag as u8])
        } else {
            self.rest.strip_prefix(&[tag as u8 | 0x80, (tag >> 7) as u8])
        };
        match rest {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    pub fn read_varint(&mut self) -> Result<u64> {
        match self.rest {
            [low @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*low))
            }
            [low, high @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            start => {
                let (value, rest) = split_long_varint(start)?;
                self.rest = rest;
                Ok(value)
            }
        }
    }

    #[inline(always)]
    pub fn read_fixed64(&mut self) -> Result<u64> {
        match self.rest.split_first_chunk::<8>() {
            Some((value, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*value))
            }
            None => Err(Fault::wire(self.rest, Malformed::Truncated)),
        }
    }

    #[inline(always)]
    pub fn read_double(&mut self) -> Result<f64> {
        self.read_fixed64().map(f64::from_bits)
    }

    #[inline(always)]
    pub fn read_fixed32(&mut self) -> Result<u32> {
        match self.rest.split_first_chunk::<4>() {
            Some((value, rest)) => {
                self.rest = rest;
                Ok(u32::from_le_bytes(*value))
            }
            None => Err(Fault::wire(self.rest, Malformed::Truncated)),
        }
    }

    /// A length-delimited field's bytes.
    #[inline(always)]
    pub fn read_len(&mut self) -> Result<&'a [u8]> {
        if let [len @ ..0x80, rest @ ..] = self.rest
            && let Some((value, rest)) = rest.split_at_checked(usize::from(*len))
        {
            self.rest = rest;
            return Ok(value);
        }
        self.read_long_len()
    }

    /// A length of two bytes, as most records have, or any other.
    #[inline(always)]
    fn read_long_len(&mut self) -> Result<&'a [u8]> {
        if let [low, high @ ..0x80, rest @ ..] = self.rest
            && *low >= 0x80
            && let len = usize::from(low & 0x7f) | usize::from(*high) << 7
            && let Some((value, rest)) = rest.split_at_checked(len)
        {
            self.rest = rest;
            return Ok(value);
        }
        let (value, rest) = split_any_len(self.rest)?;
        self.rest = rest;
        Ok(value)
    }

    /// Passes over a field whose tag was just read; groups are matched without recursion.
    #[inline]
    pub fn skip(&mut self, tag: u32) -> Result<()> {
        match tag & 7 {
            VARINT => self.read_varint().map(drop),
            FIXED64 => self.read_fixed64().map(drop),
            LEN => self.read_len().map(drop),
            FIXED32 => self.read_fixed32().map(drop),
            START_GROUP => {
                *self = self.after_group(tag >> 3)?;
                Ok(())
            }
            END_GROUP => Err(Fault::wire(self.rest, Malformed::UnmatchedEndGroup)),
            other => Err(Fault::wire(self.rest, Malformed::WireType(other as u8))),
        }
    }

    /// The place behind a group that was begun.
    #[inline(never)]
    fn after_group(mut self, number: u32) -> Result<Self> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let start = self.rest;
            // The official parsers do not look at the numbers of fields in a group that they skip.
            let (tag, rest) = split_tag(start)?;
            self.rest = rest;
            match tag & 7 {
                START_GROUP if open.len() >= MAX_GROUP_DEPTH => {
                    return Err(Fault::wire(start, Malformed::GroupsTooDeep));
                }
                START_GROUP => open.push(tag >> 3),
                END_GROUP if tag >> 3 == innermost => {
                    open.pop();
                }
                _ => self.skip(tag)?,
            }
        }
        Ok(self)
    }
}

// What is seldom is read by functions that take the bytes and give what is left of them: a cursor
// that is never lent stays in registers.

/// A tag of several bytes, or one that is wrong.
#[inline(never)]
fn split_long_tag(start: &[u8]) -> Result<(u32, &[u8])> {
    let (tag, rest) = split_tag(start)?;
    if tag >> 3 == 0 {
        return Err(Fault::wire(start, Malformed::FieldNumberZero));
    }
    Ok((tag, rest))
}

/// A tag of any spelling and any field number, also 0.
fn split_tag(start: &[u8]) -> Result<(u32, &[u8])> {
    let mut tag: u64 = 0;
    for (i, &byte) in start.iter().enumerate().take(5) {
        tag |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            let Ok(tag) = u32::try_from(tag) else {
                return Err(Fault::wire(start, Malformed::TagTooLarge));
            };
            return Ok((tag, &start[i + 1..]));
        }
    }
    let kind = if start.len() < 5 { Malformed::Truncated } else { Malformed::TagTooLarge };
    Err(Fault::wire(start, kind))
}

/// A varint of any number of bytes, or one that is wrong.
#[inline(never)]
fn split_long_varint(start: &[u8]) -> Result<(u64, &[u8])> {
    let mut value: u64 = 0;
    for (i, &byte) in start.iter().enumerate().take(10) {
        // The tenth byte's upper bits fall off, as in the official parsers.
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, &start[i + 1..]));
        }
    }
    let kind = if start.len() < 10 { Malformed::Truncated } else { Malformed::VarintTooLong };
    Err(Fault::wire(start, kind))
}

/// The bytes behind a length of any number of bytes, or one that is wrong; and what is left.
#[inline(never)]
fn split_any_len(start: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(start);
    let len = cursor.read_varint()?;
    // The official parsers read a length of at most five bytes, overlong ones included.
    if start.len() - cursor.rest.len() > 5 {
        return Err(Fault::wire(start, Malformed::LengthTooLong));
    }
    // In 64 bits: a length that does not fit `usize` on a 32-bit target is beyond the end too.
    if len > cursor.rest.len() as u64 {
        return Err(Fault::wire(start, Malformed::LengthBeyondEnd));
    }
    Ok(cursor.rest.split_at(len as usize))
}

/// The occurrences of one singular submessage field, in wire order.
///
/// "a submessage given twice is merged" (protobuf): merging equals reading the occurrences one
/// after the other into the same place, so that is how they are read.
#[derive(Clone, Default)]
pub(crate) struct Message<'a> {
    first: Option<&'a [u8]>,
    more: Vec<&'a [u8]>,
}

impl<'a> Message<'a> {
    #[inline(always)]
    pub fn one(bytes: &'a [u8]) -> Self {
        Self { first: Some(bytes), more: Vec::new() }
    }

    #[inline(always)]
    pub fn add(&mut self, bytes: &'a [u8]) {
        if self.first.is_none() {
            self.first = Some(bytes);
        } else {
            self.more.push(bytes);
        }
    }

    /// The bytes, if the field came exactly once.
    #[inline(always)]
    pub fn single(&self) -> Option<&'a [u8]> {
        if self.more.is_empty() { self.first } else { None }
    }

    #[inline(always)]
    pub fn is_present(&self) -> bool {
        self.first.is_some()
    }

    #[inline(always)]
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.first.into_iter().chain(self.more.iter().copied())
    }
}

/// Reads the fields of a message: first those that senders write, in the order of their numbers,
/// each by one well-predicted comparison; then whatever is left, in any order.
///
/// `$read` is called with constant tags first, so that inlining leaves one arm of its `match`.
macro_rules! read_fields {
    ($cursor:ident, [$($tag:ident $(: $repeated:ident)?),* $(,)?], $read:expr) => {{
        $(read_fields!(@next $cursor, $tag $(: $repeated)?, $read);)*
        while let Some(tag) = $cursor.next_tag()? {
            $read(&mut $cursor, tag)?;
        }
    }};
    (@next $cursor:ident, $tag:ident, $read:expr) => {
        if $cursor.take_tag($tag) {
            $read(&mut $cursor, $tag)?;
        }
    };
    (@next $cursor:ident, $tag:ident: repeated, $read:expr) => {
        while $cursor.take_tag($tag) {
            $read(&mut $cursor, $tag)?;
        }
    };
}
pub(crate) use read_fields;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Trouble;

    fn kind<T>(result: Result<T>) -> Malformed {
        match result {
            Ok(_) => panic!("expected an error"),
            Err(Fault(trouble)) => match *trouble {
                Trouble::Wire { kind, .. } => kind,
                other => panic!("expected malformed bytes, found {other:?}"),
            },
        }
    }

    #[test]
    fn varints_take_up_to_ten_bytes_and_drop_the_bits_beyond_64() {
        let mut bytes = [0xff_u8; 10];
        bytes[9] = 0x7f;
        assert_eq!(Cursor::new(&bytes).read_varint().unwrap(), u64::MAX);
        assert_eq!(Cursor::new(&[0x80, 0x00]).read_varint().unwrap(), 0);
        assert_eq!(kind(Cursor::new(&[0xff; 11]).read_varint()), Malformed::VarintTooLong);
        assert_eq!(kind(Cursor::new(&[0xff; 3]).read_varint()), Malformed::Truncated);
    }

    #[test]
    fn tags_are_bounded_and_never_zero() {
        assert_eq!(Cursor::new(&[0x8a, 0x00]).next_tag().unwrap(), Some(0x0a));
        assert_eq!(kind(Cursor::new(&[0x00]).next_tag()), Malformed::FieldNumberZero);
        assert_eq!(kind(Cursor::new(&[0xff; 6]).next_tag()), Malformed::TagTooLarge);
        assert_eq!(
            kind(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).next_tag()),
            Malformed::TagTooLarge
        );
        assert_eq!(kind(Cursor::new(&[0x8a]).next_tag()), Malformed::Truncated);
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error_and_no_allocation() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00];
        assert_eq!(kind(Cursor::new(&bytes).read_len()), Malformed::LengthTooLong);
        assert_eq!(kind(Cursor::new(&bytes[6..]).read_len()), Malformed::LengthBeyondEnd);
        assert_eq!(
            kind(Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).read_len()),
            Malformed::LengthTooLong
        );
        assert_eq!(Cursor::new(&[0x81, 0x80, 0x80, 0x80, 0x00, 0x2a]).read_len().unwrap(), &[0x2a]);
        // Of two bytes.
        let mut bytes = vec![0x81, 0x01];
        bytes.resize(2 + 129, 7);
        assert_eq!(Cursor::new(&bytes).read_len().unwrap(), &bytes[2..]);
        assert_eq!(kind(Cursor::new(&bytes[..130]).read_len()), Malformed::LengthBeyondEnd);
        assert_eq!(Cursor::new(&[0x81, 0x00, 0x2a]).read_len().unwrap(), &[0x2a]);
        assert_eq!(kind(Cursor::new(&[0x81]).read_len()), Malformed::Truncated);
    }

    #[test]
    fn groups_are_matched_by_number_and_bounded_in_depth() {
        // field 1: group { field 2: group {} }
        let mut cursor = Cursor::new(&[0x0b, 0x13, 0x14, 0x0c, 0x08, 0x01]);
        let tag = cursor.next_tag().unwrap().unwrap();
        cursor.skip(tag).unwrap();
        assert_eq!(cursor.rest, &[0x08, 0x01]);

        let skip = |bytes: &[u8]| {
            let mut cursor = Cursor::new(bytes);
            let tag = cursor.next_tag()?.unwrap();
            cursor.skip(tag)
        };
        assert_eq!(kind(skip(&[0x0b, 0x14])), Malformed::UnmatchedEndGroup);
        assert_eq!(kind(skip(&[0x0c])), Malformed::UnmatchedEndGroup);
        assert_eq!(kind(skip(&[0x0b, 0x08])), Malformed::Truncated);
        assert_eq!(kind(skip(&[0x0b])), Malformed::Truncated);
        // Number 0 is a field like others there, and matched like others.
        assert!(skip(&[0x0b, 0x00, 0x01, 0x03, 0x04, 0x0c]).is_ok());
        assert_eq!(kind(skip(&[0x0b, 0x04, 0x0c])), Malformed::UnmatchedEndGroup);
        assert_eq!(kind(skip(&[0x0e])), Malformed::WireType(6));
        assert_eq!(kind(skip(&[0x0b; 200])), Malformed::GroupsTooDeep);
    }
}
