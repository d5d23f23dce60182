//! Protobuf written front to back: a length is set aside before a message and filled in after it.

use crate::columns::ByteBuffer;

/// The most bytes that a varint of a length takes here: no message reaches 2^35 bytes.
const MAX_LENGTH_BYTES: usize = 5;

/// Appends a varint.
#[inline(always)]
pub(super) fn push_varint(out: &mut ByteBuffer, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a tag and a length-delimited value.
#[inline(always)]
pub(super) fn push_len(out: &mut ByteBuffer, tag: u32, bytes: &[u8]) {
    push_varint(out, u64::from(tag));
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Where a message begins whose length is not known yet.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    /// Where its length is set aside.
    length_at: usize,
    length_bytes: usize,
}

/// Sets `length_bytes` aside for the length of a message that follows.
#[inline(always)]
pub(super) fn begin(out: &mut ByteBuffer, tag: u32, length_bytes: usize) -> Begun {
    push_varint(out, u64::from(tag));
    let length_at = out.len();
    out.spare(length_bytes);
    out.advance(length_bytes);
    Begun { length_at, length_bytes }
}

/// Fills in the length of the message that ends here.
///
/// In the bytes set aside, even where fewer would do: readers take lengths of up to five bytes.
/// A message too long for them is moved.
#[inline(always)]
pub(super) fn end(out: &mut ByteBuffer, begun: Begun) {
    let Begun { length_at, length_bytes } = begun;
    let start = length_at + length_bytes;
    let len = out.len() - start;
    if len >> (7 * length_bytes) != 0 {
        return end_moved(out, begun);
    }
    put_length(&mut out.as_mut_slice()[length_at..start], len);
}

#[inline(never)]
fn end_moved(out: &mut ByteBuffer, begun: Begun) {
    let Begun { length_at, length_bytes } = begun;
    let len = out.len() - length_at - length_bytes;
    let needed = (1..MAX_LENGTH_BYTES).find(|n| len >> (7 * n) == 0).unwrap_or(MAX_LENGTH_BYTES);
    out.insert(length_at, &[0; MAX_LENGTH_BYTES][..needed - length_bytes]);
    put_length(&mut out.as_mut_slice()[length_at..length_at + needed], len);
}

/// Writes a length into as many bytes as there are.
#[inline(always)]
fn put_length(to: &mut [u8], mut len: usize) {
    for byte in to.iter_mut() {
        *byte = len as u8 | 0x80;
        len >>= 7;
    }
    if let Some(last) = to.last_mut() {
        *last &= 0x7f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Cursor;

    #[test]
    fn lengths_are_read_as_they_were_written() {
        for length_bytes in [1, 2, 5] {
            for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
                let mut out = ByteBuffer::default();
                out.push(7);
                let begun = begin(&mut out, 0x0a, length_bytes);
                for i in 0..len {
                    out.push(i as u8);
                }
                end(&mut out, begun);
                out.push(9);
                let bytes = out.take();
                let mut cursor = Cursor::new(&bytes[1..]);
                assert_eq!(cursor.next_tag().unwrap(), Some(0x0a));
                let value = cursor.read_len().unwrap();
                assert_eq!(value.len(), len);
                assert!(value.iter().enumerate().all(|(i, &byte)| byte == i as u8));
                assert_eq!(bytes.last(), Some(&9));
            }
        }
    }
}
