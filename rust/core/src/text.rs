//! Text as the tables hold it: UTF-8 made valid, JSON strings, hex ids, base64, numbers.
//!
//! Everything appends to a growing byte buffer that holds valid UTF-8 before and after. The
//! spelling rules are SCHEMA's "AnyValue as JSON text": the same bytes from every decoder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends `bytes` as UTF-8 and returns how many invalid parts became U+FFFD.
///
/// "each maximal invalid part becomes one U+FFFD": the substitution of maximal subparts that
/// Unicode recommends, which `utf8_chunks` implements.
#[inline]
pub(crate) fn push_text(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    if is_valid_utf8(bytes) {
        out.extend_from_slice(bytes);
        return 0;
    }
    push_text_lossy(out, bytes)
}

#[cold]
fn push_text_lossy(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
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
    if bytes.len() < 64 { std::str::from_utf8(bytes).is_ok() } else { simdutf8::basic::from_utf8(bytes).is_ok() }
}

/// Appends `bytes` as a JSON string with its quotes; returns the replaced invalid parts.
#[inline]
pub(crate) fn push_json_string(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    if is_plain_ascii(bytes) {
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
        return 0;
    }
    push_json_string_escaped(out, bytes)
}

/// ASCII that a JSON string holds as it is: no control character, quote or backslash.
#[inline]
fn is_plain_ascii(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    /// A word whose high bits are set where a byte is special (and perhaps above such a byte).
    #[inline(always)]
    fn special(word: u64) -> u64 {
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
        (control | quote | backslash | word) & HIGH
    }
    if let Some(last) = bytes.last_chunk::<8>() {
        let mut found = special(u64::from_le_bytes(*last));
        for word in bytes.as_chunks::<8>().0 {
            found |= special(u64::from_le_bytes(*word));
        }
        return found == 0;
    }
    // Fewer than eight bytes: spaces fill the word.
    let mut word = [b' '; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    special(u64::from_le_bytes(word)) == 0
}

#[inline(never)]
fn push_json_string_escaped(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
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
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut clean = 0;
    for (i, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[clean..i]);
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
                out.extend_from_slice(br"\u00");
                push_hex(out, &[byte]);
            }
        }
    }
    out.extend_from_slice(&text[clean..]);
}

/// Appends lower-case hex.
#[inline]
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    // The two lengths of OTLP's ids, with sizes known so that the loop becomes vector code.
    if let Ok(id) = <&[u8; 16]>::try_from(bytes) {
        out.extend_from_slice(hex_pairs(id).as_flattened());
    } else if let Ok(id) = <&[u8; 8]>::try_from(bytes) {
        out.extend_from_slice(hex_pairs(id).as_flattened());
    } else {
        for byte in bytes {
            out.extend_from_slice(&hex_pair(*byte));
        }
    }
}

#[inline(always)]
fn hex_pairs<const N: usize>(bytes: &[u8; N]) -> [[u8; 2]; N] {
    let mut pairs = [[0; 2]; N];
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = hex_pair(*byte);
    }
    pairs
}

#[inline(always)]
fn hex_pair(byte: u8) -> [u8; 2] {
    #[inline(always)]
    fn digit(nibble: u8) -> u8 {
        nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// Appends a JSON string of standard base64.
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    // Four characters for every three bytes begun; the payload bound keeps this far below usize.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// Appends decimal digits.
#[inline]
pub(crate) fn push_int(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a 64-bit integer as OTLP/JSON spells it: a string of digits.
pub(crate) fn push_int_string(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.push(b'"');
    push_int(out, value);
    out.push(b'"');
}

/// Appends a finite double as ryu prints it, or says why it cannot be a JSON number.
#[inline]
pub(crate) fn push_double(out: &mut Vec<u8>, value: f64) -> Result<(), &'static str> {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        Ok(())
    } else if value.is_nan() {
        Err("\"NaN\"")
    } else if value > 0.0 {
        Err("\"Infinity\"")
    } else {
        Err("\"-Infinity\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> (String, u64) {
        let mut out = Vec::new();
        let replaced = push_json_string(&mut out, bytes);
        (String::from_utf8(out).unwrap(), replaced)
    }

    #[test]
    fn every_byte_at_every_place_is_escaped_alike() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=0x7f_u8 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    let mut one = Vec::new();
                    push_escaped(&mut one, &[byte]);
                    let expected = format!(
                        "\"{}{}{}\"",
                        "a".repeat(at),
                        String::from_utf8(one).unwrap(),
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
        let mut out = Vec::new();
        assert_eq!(push_text(&mut out, b"\xc3(\"\xe2\x82"), 2);
        assert_eq!(out, "\u{fffd}(\"\u{fffd}".as_bytes());
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
            let mut out = Vec::new();
            push_double(&mut out, value).unwrap();
            assert_eq!(out, text.as_bytes());
        }
    }
}
