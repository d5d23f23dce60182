//! Single values: text, numbers, names of enums, bytes and ids, in every spelling that JSON allows.
//!
//! Knows one value and what is written of it. Must not know where it stands.

use super::bytes::{describe_id, from_base64, from_hex};
use super::fault::{Fault, Result};
use super::numbers::{exact_integer, nearest_double, plain_digits, short_double};
use super::output::{push_len, push_varint};
use super::reader::number_len;
use super::strings::unescaped;
use super::transcoder::Transcoder;

impl<'a> Transcoder<'a, '_> {
    #[inline(always)]
    pub(super) fn push_varint_field(&mut self, tag: u32, value: u64) {
        push_varint(self.out, u64::from(tag));
        push_varint(self.out, value);
    }

    #[inline(always)]
    pub(super) fn push_fixed64(&mut self, tag: u32, value: u64) {
        push_varint(self.out, u64::from(tag));
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn read_text(&mut self, tag: u32) -> Result<()> {
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("text"));
        }
        let raw = self.reader.read_string()?;
        if raw.is_escaped {
            push_len(self.out, tag, &unescaped(raw));
        } else {
            push_len(self.out, tag, raw.bytes);
        }
        Ok(())
    }

    /// Reads an integer from `least` to `most`: a number, or a number in quotes.
    #[inline(always)]
    pub(super) fn read_integer(&mut self, least: i128, most: i128) -> Result<i128> {
        // Digits, in quotes or not: the usual spellings.
        let start = self.reader.at;
        let quote = usize::from(self.reader.byte() == b'"');
        let digits = self.reader.text.get(start + quote..).and_then(plain_digits);
        if let Some((value, len)) = digits
            && i128::from(value) <= most
            && (quote == 0 || self.reader.text.get(start + 1 + len) == Some(&b'"'))
        {
            self.reader.at += len + 2 * quote;
            return Ok(i128::from(value));
        }
        self.read_any_integer(start, least, most)
    }

    #[inline(never)]
    fn read_any_integer(&mut self, start: usize, least: i128, most: i128) -> Result<i128> {
        const EXPECTED: &str = "an integer";
        let is_text = self.reader.byte() == b'"';
        let Some(text) = self.read_number_or_text(EXPECTED)? else {
            return Err(self.restart(start, "text that is no number", EXPECTED));
        };
        let found = if is_text { "a number in text" } else { "a number" };
        match exact_integer(&text) {
            Some(value) if (least..=most).contains(&value) => Ok(value),
            _ => {
                self.reader.at = start;
                let message = format!("found {found}, expected an integer from {least} to {most}");
                Err(Fault::misfit_message(start, message))
            }
        }
    }

    /// The text of a number that stands there as such or in quotes; `None` if those hold another.
    fn read_number_or_text(
        &mut self,
        expected: &'static str,
    ) -> Result<Option<std::borrow::Cow<'a, [u8]>>> {
        match self.reader.peek() {
            b'"' => {
                let text = unescaped(self.reader.read_string()?);
                Ok((number_len(&text) == Some(text.len())).then_some(text))
            }
            b'-' | b'0'..=b'9' => self.reader.read_number().map(|text| Some(text.into())),
            _ => Err(self.reader.misfit(expected)),
        }
    }

    /// A misfit of the value that began at `start`, where the reader goes back to.
    #[cold]
    #[inline(never)]
    fn restart(&mut self, start: usize, found: &'static str, expected: &'static str) -> Fault {
        self.reader.at = start;
        Fault::misfit(start, found, expected)
    }

    #[inline]
    pub(super) fn read_double(&mut self) -> Result<f64> {
        const EXPECTED: &str = "a number";
        if let Some((value, len)) = short_double(self.reader.rest()) {
            self.reader.at += len;
            return Ok(value);
        }
        let start = self.reader.at;
        if self.reader.peek() == b'"' {
            let raw = self.reader.read_string()?;
            let text = unescaped(raw);
            match text.as_ref() {
                b"NaN" => return Ok(f64::NAN),
                b"Infinity" => return Ok(f64::INFINITY),
                b"-Infinity" => return Ok(f64::NEG_INFINITY),
                _ => self.reader.at = start,
            }
        }
        let Some(text) = self.read_number_or_text(EXPECTED)? else {
            return Err(self.restart(start, "text that is no number", EXPECTED));
        };
        match nearest_double(&text) {
            Some(value) => Ok(value),
            None => Err(self.restart(start, "a number beyond a double's range", "one within it")),
        }
    }

    pub(super) fn read_bool(&mut self, tag: u32) -> Result<()> {
        let value = match self.reader.peek() {
            b't' => {
                self.reader.read_literal(b"true")?;
                true
            }
            b'f' => {
                self.reader.read_literal(b"false")?;
                false
            }
            _ => return Err(self.reader.misfit("true or false")),
        };
        self.push_varint_field(tag, u64::from(value));
        Ok(())
    }

    /// "Integers; also integer strings and the known names; an unknown name rejects the record."
    pub(super) fn read_enum(&mut self, tag: u32, names: &[&str]) -> Result<()> {
        let start = self.reader.at;
        let value = match self.reader.byte() {
            b'"' => {
                let text = unescaped(self.reader.read_string()?);
                match names.iter().position(|name| name.as_bytes() == text.as_ref()) {
                    Some(value) => value as i128,
                    None if number_len(&text) == Some(text.len()) => {
                        self.reader.at = start;
                        self.read_any_integer(start, i32::MIN.into(), i32::MAX.into())?
                    }
                    None => {
                        let expected = "a number or a name of this enum";
                        return Err(self.restart(start, "an unknown name", expected));
                    }
                }
            }
            _ => self.read_integer(i32::MIN.into(), i32::MAX.into())?,
        };
        // "Negative enum values are sign-extended to 64 bits" on the wire.
        self.push_varint_field(tag, value as u64);
        Ok(())
    }

    pub(super) fn read_bytes(&mut self, tag: u32) -> Result<()> {
        let start = self.reader.at;
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("base64 text"));
        }
        let text = unescaped(self.reader.read_string()?);
        match from_base64(&text) {
            Some(bytes) => {
                push_len(self.out, tag, &bytes);
                Ok(())
            }
            None => Err(self.restart(start, "text that is not base64", "base64 text")),
        }
    }

    /// "Hex, any case; `""` = absent. Base64 only where it is unmistakable."
    pub(super) fn read_id(&mut self, tag: u32, len: usize) -> Result<()> {
        let start = self.reader.at;
        if self.reader.peek() != b'"' {
            return Err(self.reader.misfit("hex text"));
        }
        if let Some(text) = self.reader.rest().get(1..2 * len + 2)
            && let Some((b'"', digits)) = text.split_last()
        {
            // As long as an id should be: what is hex digits holds no other quote.
            let to = self.out.spare(len + 2);
            if from_hex(&mut to[2..], digits) {
                to[0] = tag as u8;
                to[1] = len as u8;
                self.out.advance(len + 2);
                self.reader.at += 2 * len + 2;
                return Ok(());
            }
        }
        let raw = self.reader.read_string()?;
        let text = unescaped(raw);
        let bytes = text.len() / 2;
        if text.len().is_multiple_of(2) {
            let before = self.out.len();
            push_varint(self.out, u64::from(tag));
            push_varint(self.out, bytes as u64);
            if from_hex(self.out.spare(bytes), &text) {
                self.out.advance(bytes);
                return Ok(());
            }
            self.out.truncate(before);
        }
        if text.ends_with(b"=")
            && let Some(bytes) = from_base64(&text)
            && bytes.len() == len
        {
            push_len(self.out, tag, &bytes);
            self.tally.base64_ids += 1;
            return Ok(());
        }
        let found = describe_id(&text);
        self.reader.at = start;
        let message = format!("found {found}, expected an id of {} hex digits", 2 * len);
        Err(Fault::misfit_message(start, message))
    }
}
