//! Text as JSON writes it -> text as it was meant, for the tables to make valid.
//!
//! "A lone surrogate escape or invalid UTF-8 becomes U+FFFD, with a warning." The tables do that
//! for invalid UTF-8 of any sender; so a lone surrogate leaves here as one byte that is invalid
//! wherever it stands, and both are mended, counted and told in one place.

use std::borrow::Cow;

use super::reader::Raw;

/// Part of no UTF-8 sequence, so it is one maximal invalid part for itself.
const LONE_SURROGATE: u8 = 0xff;

/// The text between the quotes.
#[inline(always)]
pub(super) fn unescaped<'a>(raw: Raw<'a>) -> Cow<'a, [u8]> {
    if raw.is_escaped { Cow::Owned(unescape(raw.bytes)) } else { Cow::Borrowed(raw.bytes) }
}

/// Undoes escapes, all of which are well-formed.
#[inline(never)]
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(at) = text.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&text[..at]);
        text = &text[at + 1..];
        let Some((&escape, rest)) = text.split_first() else { break };
        text = rest;
        match escape {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => text = push_unicode_escape(&mut out, text),
            itself => out.push(itself),
        }
    }
    out.extend_from_slice(text);
    out
}

/// Appends the character of the escape whose digits `text` begins with; gives what follows it.
fn push_unicode_escape<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let Some((unit, rest)) = code_unit(text) else { return text };
    if (0xd800..0xdc00).contains(&unit) {
        let low = rest.strip_prefix(b"\\u").and_then(code_unit);
        if let Some((low @ 0xdc00..0xe000, after)) = low {
            let code = 0x1_0000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
            push_char(out, code);
            return after;
        }
    }
    push_char(out, unit);
    rest
}

fn push_char(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push(LONE_SURROGATE),
    }
}

/// The number that four hex digits are.
fn code_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let mut unit = 0;
    for &digit in digits {
        unit = unit << 4 | char::from(digit).to_digit(16)?;
    }
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_surrogates() {
        for (text, expected) in [
            (r#"\"\\\/\b\f\n\r\t"#, &b"\"\\/\x08\x0c\n\r\t"[..]),
            (r"\u0000\u0041\u00e9\u20AC", "\0Aé€".as_bytes()),
            (r"a\ud83d\ude00b", "a😀b".as_bytes()),
            (r"a\ud83db", b"a\xffb"),
            (r"\ude00\ud83d", b"\xff\xff"),
            (r"\ud83d\ud83d\ude00", b"\xff\xf0\x9f\x98\x80"),
            (r"\ud83d\u0041", b"\xffA"),
            (r"\ud83d\n", b"\xff\n"),
            (r"\\u0041", b"\\u0041"),
        ] {
            let raw = Raw { bytes: text.as_bytes(), is_escaped: true };
            assert_eq!(unescaped(raw).as_ref(), expected, "{text}");
        }
    }
}
