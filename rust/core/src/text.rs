//! Text as the tables hold it: UTF-8 made valid, JSON strings, hex ids, base64, numbers.
//!
//! Everything appends to a growing byte buffer that holds valid UTF-8 before and after. The
//! spelling rules are SCHEMA's "AnyValue as JSON text": the same bytes from every decoder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::columns::{BLOCK, ByteBuffer};

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Texts up to this length are copied while it is seen whether they are ASCII, as nearly all are.
const SHORT: usize = 256;

/// Appends `bytes` as UTF-8 and returns how many invalid parts became U+FFFD.
///
/// "each maximal invalid part becomes one U+FFFD": the substitution of maximal subparts that
/// Unicode recommends, which `utf8_chunks` implements.
#[inline]
pub(crate) fn push_text(out: &mut ByteBuffer, bytes: &[u8]) -> u64 {
    if bytes.len() <= SHORT && copy_ascii(out.spare(bytes.len()), bytes) {
        out.advance(bytes.len());
        return 0;
    }
    if is_valid_utf8(bytes) {
        out.extend_from_slice(bytes);
        return 0;
    }
    push_text_lossy(out, bytes)
}

/// Copies `from` to `to`, which is as long; true if it is ASCII.
#[inline(always)]
fn copy_ascii(to: &mut [u8], from: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (Some(last), Some(to_last)) = (from.last_chunk::<8>(), to.last_chunk_mut::<8>()) else {
        let mut all = 0;
        for (to, &byte) in to.iter_mut().zip(from) {
            *to = byte;
            all |= byte;
        }
        return all < 0x80;
    };
    // The last word overlaps the one before it unless the length is a multiple of eight.
    *to_last = *last;
    let mut all = u64::from_le_bytes(*last);
    for (to, word) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
        *to = *word;
        all |= u64::from_le_bytes(*word);
    }
    all & HIGH == 0
}

/// The most bytes that `push_text` makes of a text.
pub(crate) fn text_len(bytes: &[u8]) -> usize {
    if is_valid_utf8(bytes) { bytes.len() } else { bytes.len() * REPLACEMENT.len() }
}

/// The most bytes that `push_json_string` makes of a text.
pub(crate) fn json_string_len(bytes: &[u8]) -> usize {
    let beyond_ascii = if is_valid_utf8(bytes) { 1 } else { REPLACEMENT.len() };
    let len = |&byte: &u8| match byte {
        b'"' | b'\\' | 0x08 | 0x0c | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        0x80.. => beyond_ascii,
        _ => 1,
    };
    2 + bytes.iter().map(len).sum::<usize>()
}

#[cold]
fn push_text_lossy(out: &mut ByteBuffer, bytes: &[u8]) -> u64 {
    let mut replaced = 0;
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
            replaced += 1;
        }
    }
    replaced
}

#[inline]
fn is_valid_utf8(bytes: &[u8]) -> bool {
    // Below a vector register or two the SIMD validator's set-up costs more than it saves.
    if bytes.len() < 64 {
        bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
    } else {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

/// Appends `bytes` as a JSON string with its quotes; returns the replaced invalid parts.
///
/// Copies and checks in one go: nearly every string is ASCII that JSON holds as it is.
#[inline]
pub(crate) fn push_json_string(out: &mut ByteBuffer, bytes: &[u8]) -> u64 {
    let spare = out.spare(bytes.len() + 2);
    spare[0] = b'"';
    let is_plain = copy_plain_ascii(&mut spare[1..bytes.len() + 1], bytes);
    spare[bytes.len() + 1] = b'"';
    if !is_plain {
        return push_json_string_escaped(out, bytes);
    }
    out.advance(bytes.len() + 2);
    0
}

/// Copies `from` to `to`; true if it is ASCII without control characters, quotes, backslashes.
#[inline(always)]
pub(crate) fn copy_plain_ascii(to: &mut [u8], from: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// A word whose high bits are set where a byte is special (and perhaps above such a byte).
    #[inline(always)]
    fn special(word: u64) -> u64 {
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
        (control | quote | backslash | word) & (ONES * 0x80)
    }
    if let (Some(last), Some(to_last)) = (from.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        // The last word overlaps the one before it unless the length is a multiple of eight.
        *to_last = *last;
        let mut found = special(u64::from_le_bytes(*last));
        for (to, word) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
            *to = *word;
            found |= special(u64::from_le_bytes(*word));
        }
        return found == 0;
    }
    if let (Some(first), Some(last), Some(to_first)) =
        (from.first_chunk::<4>(), from.last_chunk::<4>(), to.first_chunk_mut::<4>())
    {
        *to_first = *first;
        if let Some(to_last) = to.last_chunk_mut::<4>() {
            *to_last = *last;
        }
        let word =
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
        return special(word) == 0;
    }
    let mut is_plain = true;
    for (to, &byte) in to.iter_mut().zip(from) {
        *to = byte;
        is_plain &= (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
    }
    is_plain
}

#[inline(never)]
fn push_json_string_escaped(out: &mut ByteBuffer, bytes: &[u8]) -> u64 {
    let mut replaced = 0;
    out.push(b'"');
    if is_valid_utf8(bytes) {
        push_escaped(out, bytes);
    } else {
        for chunk in bytes.utf8_chunks() {
            push_escaped(out, chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice(REPLACEMENT);
                replaced += 1;
            }
        }
    }
    out.push(b'"');
    replaced
}

/// "escapes are JSON's short forms, other control characters `\u00xx`; non-ASCII and `/` raw".
fn push_escaped(out: &mut ByteBuffer, text: &[u8]) {
    let mut clean = 0;
    for (i, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        if clean < i {
            out.extend_from_slice(&text[clean..i]);
        }
        clean = i + 1;
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0x08 => out.extend_from_slice(br"\b"),
            0x0c => out.extend_from_slice(br"\f"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ => {
                let to: &mut [u8; 6] = out.room();
                to[..4].copy_from_slice(br"\u00");
                write_hex(&mut to[4..], &[byte]);
                out.advance(6);
            }
        }
    }
    out.extend_from_slice(&text[clean..]);
}

/// Appends lower-case hex.
#[inline]
pub(crate) fn push_hex(out: &mut ByteBuffer, bytes: &[u8]) {
    if let Ok(id) = <&[u8; 16]>::try_from(bytes) {
        write_hex(out.room::<32>(), id);
        out.advance(32);
    } else if let Ok(id) = <&[u8; 8]>::try_from(bytes) {
        write_hex(out.room::<16>(), id);
        out.advance(16);
    } else {
        for byte in bytes {
            write_hex(out.room::<2>(), std::slice::from_ref(byte));
            out.advance(2);
        }
    }
}

/// Hex of bytes: both digits of a byte at once, one in each half of a word, because this is
/// what the compiler makes vector code of.
#[inline(always)]
fn write_hex(to: &mut [u8], bytes: &[u8]) {
    for (to, &byte) in to.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        let byte = u16::from(byte);
        let digits = byte >> 4 | (byte & 15) << 8;
        // 1 where a digit is a letter. Nothing wraps; checked additions would be branches.
        let letters = digits.wrapping_add(0x0606) >> 4 & 0x0101;
        let after_9 = u16::from(b'a' - b'9' - 1);
        *to = digits.wrapping_add(0x3030).wrapping_add(letters.wrapping_mul(after_9)).to_le_bytes();
    }
}

/// Appends a JSON string of standard base64.
pub(crate) fn push_base64(out: &mut ByteBuffer, bytes: &[u8]) {
    out.push(b'"');
    // Four characters for every three bytes begun: always room enough.
    let written = STANDARD.encode_slice(bytes, out.spare(bytes.len().div_ceil(3) * 4)).unwrap_or(0);
    out.advance(written);
    out.push(b'"');
}

/// Appends decimal digits.
#[inline(always)]
pub(crate) fn push_int(out: &mut ByteBuffer, value: impl itoa::Integer + Copy + TryInto<u16>) {
    match value.try_into() {
        Ok(small @ 0..10_000) => push_small_int(out, small),
        _ => push_large_int(out, value),
    }
}

#[inline(never)]
fn push_large_int(out: &mut ByteBuffer, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A status code, a port, a count: most integers of telemetry have at most four digits.
#[inline(always)]
fn push_small_int(out: &mut ByteBuffer, value: u16) {
    let written = write_small_int(out.room(), value);
    out.advance(written);
}

/// Writes the digits of a number below 10,000 to the beginning of a block, of which the rest then
/// holds anything; gives how many they are.
#[inline(always)]
pub(crate) fn write_small_int(to: &mut [u8; BLOCK], value: u16) -> usize {
    let absent = usize::from(value < 1000) + usize::from(value < 100) + usize::from(value < 10);
    let shifted = (u32::from_le_bytes(digits(value)) >> (8 * absent)).to_le_bytes();
    to[..shifted.len()].copy_from_slice(&shifted);
    shifted.len() - absent
}

/// As `write_small_int`, of a number below 128.
#[inline(always)]
pub(crate) fn write_tiny_int(to: &mut [u8; BLOCK], value: u8) -> usize {
    let tiny = TINY[usize::from(value & 0x7f)];
    to[..tiny.len()].copy_from_slice(&tiny);
    usize::from(tiny[3])
}

/// The digits of the numbers below 128, and how many they are.
static TINY: [[u8; 4]; 0x80] = {
    let mut tiny = [[0; 4]; 0x80];
    let mut i = 0;
    while i < tiny.len() {
        let [_, hundreds, tens, ones] = digits(i as u16);
        tiny[i] = match i {
            ..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            100.. => [hundreds, tens, ones, 3],
        };
        i += 1;
    }
    tiny
};

/// The decimal digits of a number below 10,000, with leading zeros.
#[inline(always)]
const fn digits(value: u16) -> [u8; 4] {
    let high = DIGIT_PAIRS[(value / 100) as usize];
    let low = DIGIT_PAIRS[(value % 100) as usize];
    [high[0], high[1], low[0], low[1]]
}

static DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + i as u8 / 10, b'0' + i as u8 % 10];
        i += 1;
    }
    pairs
};

/// Appends a 64-bit integer as OTLP/JSON spells it: a string of digits.
pub(crate) fn push_int_string(
    out: &mut ByteBuffer,
    value: impl itoa::Integer + Copy + TryInto<u16>,
) {
    out.push(b'"');
    push_int(out, value);
    out.push(b'"');
}

/// Appends a finite double as ryu spells it, or says why it cannot be a JSON number.
#[inline]
pub(crate) fn push_double(out: &mut ByteBuffer, value: f64) -> Result<(), &'static str> {
    if push_short_decimal(out, value) {
        Ok(())
    } else if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        if value.abs() < 1e16 {
            out.extend_from_slice(text.as_bytes());
        } else {
            // zmij signs positive exponents (`1e+300`), ryu does not (`1e300`).
            text.split('+').for_each(|part| out.extend_from_slice(part.as_bytes()));
        }
        Ok(())
    } else if value.is_nan() {
        Err("\"NaN\"")
    } else if value > 0.0 {
        Err("\"Infinity\"")
    } else {
        Err("\"-Infinity\"")
    }
}

/// Appends a double that is a decimal of at most three places; false if it is another.
///
/// Durations in milliseconds, prices and whole numbers are. A decimal of at most 15 digits is
/// the shortest that its double has: no two of them share one.
#[inline]
fn push_short_decimal(out: &mut ByteBuffer, value: f64) -> bool {
    let size = value.abs();
    // Zero has a sign of its own; NaN is in no range.
    if !(0.001..1e12).contains(&size) {
        return false;
    }
    let thousandths = (size * 1000.0 + 0.5) as i64;
    if thousandths as f64 / 1000.0 != size {
        return false;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    push_int(out, thousandths / 1000);
    let places = (thousandths % 1000) as u16;
    let [_, tenths, hundredths, last] = digits(places);
    let room: &mut [u8; 4] = out.room();
    *room = [b'.', tenths, hundredths, last];
    // "always with a point": one place stays, also when it is zero.
    let zeros = usize::from(places.is_multiple_of(10)) + usize::from(places.is_multiple_of(100));
    out.advance(4 - zeros);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> (String, u64) {
        let mut out = ByteBuffer::default();
        let replaced = push_json_string(&mut out, bytes);
        (String::from_utf8(out.take()).unwrap(), replaced)
    }

    #[test]
    fn every_byte_at_every_place_is_escaped_alike() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=0x7f_u8 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    let mut one = ByteBuffer::default();
                    push_escaped(&mut one, &[byte]);
                    let expected = format!(
                        "\"{}{}{}\"",
                        "a".repeat(at),
                        String::from_utf8(one.take()).unwrap(),
                        "a".repeat(len - at - 1)
                    );
                    assert_eq!(json(&text), (expected, 0));
                }
            }
        }
    }

    #[test]
    fn invalid_parts_become_one_replacement_each() {
        assert_eq!(json(b"a\xffb"), ("\"a\u{fffd}b\"".into(), 1));
        assert_eq!(json(b"\xf0\x9f\x98"), ("\"\u{fffd}\"".into(), 1));
        assert_eq!(json(b"\xed\xa0\x80"), ("\"\u{fffd}\u{fffd}\u{fffd}\"".into(), 3));
        let mut out = ByteBuffer::default();
        assert_eq!(push_text(&mut out, b"\xc3(\"\xe2\x82"), 2);
        assert_eq!(out.take(), "\u{fffd}(\"\u{fffd}".as_bytes());
    }

    #[test]
    fn a_byte_beyond_ascii_is_seen_in_texts_of_any_length() {
        for len in (0..80).chain(SHORT - 1..SHORT + 2) {
            let mut text = vec![b'a'; len];
            let mut out = ByteBuffer::default();
            assert_eq!(push_text(&mut out, &text), 0);
            assert_eq!(out.take(), text);
            for at in 0..len {
                text[at] = 0xff;
                assert_eq!(push_text(&mut out, &text), 1);
                assert_eq!(out.take(), String::from_utf8_lossy(&text).as_bytes());
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn doubles_are_spelled_as_ryu_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e300, "1e300"),
            (1e-7, "1e-7"),
            (1e-5, "0.00001"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e16"),
            (0.1 + 0.2, "0.30000000000000004"),
            (5e-324, "5e-324"),
        ] {
            let mut out = ByteBuffer::default();
            push_double(&mut out, value).unwrap();
            assert_eq!(out.take(), text.as_bytes());
        }
    }

    #[test]
    fn any_double_is_spelled_as_the_ryu_crate_spells_it() {
        // A multiplicative walk over the bit patterns: all exponents, both signs.
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_spelled_as_ryu(value);
            }
        }
    }

    fn assert_spelled_as_ryu(value: f64) {
        let mut out = ByteBuffer::default();
        push_double(&mut out, value).unwrap();
        assert_eq!(out.take(), ryu::Buffer::new().format_finite(value).as_bytes());
    }

    #[test]
    fn decimals_of_few_places_are_spelled_as_the_ryu_crate_spells_them() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for places in 0..8 {
            for size in 1..64 {
                for _ in 0..400 {
                    bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
                    let value = (bits >> size) as f64 / f64::from(10_u32.pow(places));
                    for value in [value, -value, value.next_up(), value.next_down()] {
                        assert_spelled_as_ryu(value);
                    }
                }
            }
        }
        (0..2_000_000).for_each(|i| assert_spelled_as_ryu(f64::from(i) / 1000.0));
    }
}
