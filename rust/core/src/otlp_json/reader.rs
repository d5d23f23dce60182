//! A pull reader over JSON text (RFC 8259): tokens in place, nothing built, nothing recursive.
//!
//! It knows JSON and no message. Text inside of strings is given as it stands, escapes and
//! invalid UTF-8 included: what becomes of those is the tables' rule, not JSON's. Every string
//! and number that is passed over is checked all the same: a request is JSON or it is not.

use super::fault::{Fault, Result};

/// A position in the text. `at` never passes the end.
pub(super) struct Reader<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub bytes: &'a [u8],
    /// There are escapes in it, all of them well-formed.
    pub is_escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// The high bit of the first byte that ends plain text (and perhaps of others above it).
#[inline(always)]
pub(super) fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGH
}

/// Where the text from `at` on has its first quote, backslash or control character, or its end.
#[inline(always)]
pub(super) fn end_of_plain(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

impl<'a> Reader<'a> {
    /// The byte at hand; 0, with which no token begins, at the end.
    #[inline(always)]
    pub fn byte(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// The text from here on.
    #[inline(always)]
    pub fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over white space, and gives the byte at hand then.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        match self.byte() {
            byte @ 0x21.. => byte,
            _ => self.peek_beyond_space(),
        }
    }

    #[inline(never)]
    fn peek_beyond_space(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        self.byte()
    }

    /// Passes over white space and this byte, if it is the next one.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// What stands here, by its kind.
    #[cold]
    pub fn found(&self) -> &'static str {
        if self.at >= self.text.len() {
            return "the end of the text";
        }
        match self.byte() {
            b'{' => "an object",
            b'[' => "a list",
            b'"' => "text",
            b'-' | b'0'..=b'9' => "a number",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            b',' => "a comma",
            b':' => "a colon",
            b'}' | b']' => "a closing bracket",
            _ => "a character that begins no JSON value",
        }
    }

    #[cold]
    #[inline(never)]
    pub fn unexpected(&self, expected: &'static str) -> Fault {
        Fault::malformed(self.at, self.found(), expected)
    }

    #[cold]
    #[inline(never)]
    pub fn misfit(&self, expected: &'static str) -> Fault {
        // What begins no value is not JSON, whatever was expected here.
        match self.byte() {
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                Fault::misfit(self.at, self.found(), expected)
            }
            _ => self.unexpected("a value"),
        }
    }

    /// Reads the colon between a key and its value.
    #[inline(always)]
    pub fn read_colon(&mut self) -> Result<()> {
        if self.take(b':') { Ok(()) } else { Err(self.unexpected("a colon after the key")) }
    }

    /// Reads a string, whose opening quote is at hand.
    #[inline(always)]
    pub fn read_string(&mut self) -> Result<Raw<'a>> {
        let start = self.at + 1;
        let end = end_of_plain(self.text, start);
        if self.text.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Raw { bytes: &self.text[start..end], is_escaped: false });
        }
        self.read_long_string(start, end)
    }

    #[inline(never)]
    fn read_long_string(&mut self, start: usize, mut end: usize) -> Result<Raw<'a>> {
        let mut is_escaped = false;
        loop {
            self.at = end;
            match self.text.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(Raw { bytes: &self.text[start..end], is_escaped });
                }
                Some(b'\\') => {
                    is_escaped = true;
                    end = end_of_plain(self.text, end + self.escape_len()?);
                }
                Some(_) => {
                    return Err(Fault::malformed(
                        end,
                        "a control character inside text",
                        "it escaped",
                    ));
                }
                None => {
                    return Err(Fault::malformed(end, "the end of the text", "a closing quote"));
                }
            }
        }
    }

    /// The length of the escape at hand, if it is one.
    fn escape_len(&self) -> Result<usize> {
        let rest = self.rest();
        match rest {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
            [_, b'u', a, b, c, d, ..]
                if [a, b, c, d].into_iter().all(|digit| digit.is_ascii_hexdigit()) =>
            {
                Ok(6)
            }
            _ => Err(Fault::malformed(
                self.at,
                "a backslash that begins no escape",
                "one of JSON's escapes",
            )),
        }
    }

    /// Reads a number: its text, which follows the grammar of RFC 8259, section 6.
    #[inline]
    pub fn read_number(&mut self) -> Result<&'a [u8]> {
        let rest = self.rest();
        match number_len(rest) {
            Some(len) => {
                self.at += len;
                Ok(&rest[..len])
            }
            None => Err(Fault::malformed(self.at, "an incomplete number", "digits")),
        }
    }

    /// Reads `true`, `false` or `null`, whichever it is said to be.
    #[inline]
    pub fn read_literal(&mut self, literal: &[u8]) -> Result<()> {
        if self.rest().starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(Fault::malformed(self.at, "an unknown word", "a value"))
    }

    /// Passes over a value of any size and depth.
    #[inline(never)]
    pub fn skip_value(&mut self) -> Result<()> {
        // One bit for each open bracket: set for an object, clear for a list.
        let mut open = Brackets::default();
        loop {
            match self.peek() {
                b'{' => {
                    self.at += 1;
                    if !self.take(b'}') {
                        open.push(true);
                        self.skip_key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if !self.take(b']') {
                        open.push(false);
                        continue;
                    }
                }
                b'"' => drop(self.read_string()?),
                b'-' | b'0'..=b'9' => drop(self.read_number()?),
                b't' => self.read_literal(b"true")?,
                b'f' => self.read_literal(b"false")?,
                b'n' => self.read_literal(b"null")?,
                _ => return Err(self.unexpected("a value")),
            }
            // A value ended: so do the brackets that close behind it.
            loop {
                let Some(is_object) = open.last() else { return Ok(()) };
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ if is_object => return Err(self.unexpected("a comma or a closing brace")),
                    _ => return Err(self.unexpected("a comma or a closing bracket")),
                }
                self.at += 1;
                open.pop();
            }
        }
    }

    fn skip_key(&mut self) -> Result<()> {
        if self.peek() != b'"' {
            return Err(self.unexpected("a key in quotes"));
        }
        self.read_string()?;
        self.read_colon()
    }
}

/// The length of the JSON number that the text begins with.
#[inline]
pub(super) fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match digits(at) {
        0 => return None,
        // "Leading zeros are not allowed."
        _ if text[at] == b'0' => 1,
        count => count,
    };
    if text.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let count = text.get(at + 1 + sign..).map_or(0, |_| digits(at + 1 + sign));
        if count == 0 {
            return None;
        }
        at += 1 + sign + count;
    }
    Some(at)
}

/// A stack of bits: what a nesting of any depth costs is an eighth of its text at most.
#[derive(Default)]
struct Brackets {
    full: Vec<u64>,
    word: u64,
    len: usize,
}

impl Brackets {
    fn push(&mut self, bit: bool) {
        if self.len > 0 && self.len.is_multiple_of(64) {
            self.full.push(self.word);
        }
        self.word = self.word << 1 | u64::from(bit);
        self.len += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.len > 0).then_some(self.word & 1 == 1)
    }

    fn pop(&mut self) {
        self.word >>= 1;
        self.len -= 1;
        if self.len > 0 && self.len.is_multiple_of(64) {
            self.word = self.full.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Trouble;
    use super::*;

    fn skip(text: &[u8]) -> std::result::Result<usize, usize> {
        let mut reader = Reader { text, at: 0 };
        match reader.skip_value() {
            Ok(()) => Ok(reader.at),
            Err(fault) => match *fault.0 {
                Trouble::Malformed(finding) => Err(finding.at),
                other => panic!("expected malformed text, found {other:?}"),
            },
        }
    }

    #[test]
    fn values_are_passed_over_whole() {
        for text in [
            r#"{"a":[1,-2.5e+3,{"b":null}],"c":"x\"\\\u00e9","d":true,"e":false}"#,
            "[]",
            "{}",
            r#""""#,
            "-0",
            "0.10",
            "1E9",
            " [ [ ] , { \"k\" : [ ] } ] ",
        ] {
            assert_eq!(skip(text.as_bytes()), Ok(text.trim_end().len()), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error_where_it_ceases_to_be() {
        for (text, at) in [
            ("", 0),
            ("nul", 0),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("[1}", 2),
            ("{\"a\":1]", 6),
            ("\"abc", 4),
            ("\"a\nb\"", 2),
            ("\"a\\x\"", 2),
            ("\"a\\u12g4\"", 2),
            ("-", 0),
            ("1.", 0),
            ("1e", 0),
            ("1e+", 0),
            (".5", 0),
            ("+1", 0),
            ("NaN", 0),
        ] {
            assert_eq!(skip(text.as_bytes()), Err(at), "{text}");
        }
        // A number that begins with zero ends after it.
        assert_eq!(skip(b"01"), Ok(1));
    }

    #[test]
    fn a_million_brackets_need_no_stack() {
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        assert_eq!(skip(&deep), Ok(2_000_000));
        assert_eq!(skip(&deep[..1_999_999]), Err(1_999_999));
        let mut mixed = b"[{\"a\":".repeat(100_000);
        mixed.push(b'1');
        mixed.extend(b"}]".repeat(100_000));
        assert_eq!(skip(&mixed), Ok(mixed.len()));
        let last = mixed.len() - 1;
        mixed[last] = b'}';
        assert_eq!(skip(&mixed), Err(last));
    }

    #[test]
    fn plain_text_ends_at_the_first_special_byte() {
        for len in 0..20 {
            for byte in 0..=255_u8 {
                let mut text = vec![b'a'; len];
                text.push(byte);
                text.extend(b"bcdefghij\"");
                let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if special { len } else { text.len() - 1 };
                assert_eq!(end_of_plain(&text, 0), expected, "byte {byte} at {len}");
            }
        }
    }
}
