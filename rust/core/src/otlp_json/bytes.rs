//! Bytes in text: hex for ids, base64 for everything else.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Without padding, which is taken off before; what the last character holds too much is ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of "base64, standard or URL-safe alphabet, padding optional".
pub(super) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let unpadded = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] if text.len().is_multiple_of(4) => rest,
        _ => text,
    };
    let standard: Vec<u8> = unpadded
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    BASE64.decode(standard).ok()
}

/// Writes the bytes of hex digits, two for each; false if some are no hex digits.
#[inline]
pub(super) fn from_hex(to: &mut [u8], text: &[u8]) -> bool {
    // The two lengths that ids have, known to the compiler: those become a few vector operations.
    if let (Ok(to), Ok(text)) = (<&mut [u8; 16]>::try_from(&mut *to), <&[u8; 32]>::try_from(text)) {
        return from_hex_digits(to, text);
    }
    if let (Ok(to), Ok(text)) = (<&mut [u8; 8]>::try_from(&mut *to), <&[u8; 16]>::try_from(text)) {
        return from_hex_digits(to, text);
    }
    from_hex_digits(to, text)
}

#[inline(always)]
fn from_hex_digits(to: &mut [u8], text: &[u8]) -> bool {
    let mut others = 0;
    for (to, [high, low]) in to.iter_mut().zip(text.as_chunks::<2>().0) {
        others |= not_hex(*high) | not_hex(*low);
        *to = digit(*high) << 4 | digit(*low) & 0x0f;
    }
    others == 0
}

/// The value of a hex digit.
#[inline(always)]
fn digit(byte: u8) -> u8 {
    // The letters' low bits begin at 1, and stand behind those of the digits.
    (byte & 0x0f).wrapping_add(if byte > b'9' { 9 } else { 0 })
}

/// 0 for a hex digit, else something else.
#[inline(always)]
fn not_hex(byte: u8) -> u8 {
    let is_digit = byte.wrapping_sub(b'0') < 10;
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 6;
    u8::from(!(is_digit | is_letter))
}

/// What an id is that is not hex, without repeating it.
#[cold]
pub(super) fn describe_id(text: &[u8]) -> String {
    if text.iter().all(u8::is_ascii_hexdigit) {
        return format!("an odd number of hex digits ({})", text.len());
    }
    match from_base64(text) {
        Some(bytes) if text.ends_with(b"=") => {
            format!("what looks like base64 of {} bytes", bytes.len())
        }
        Some(bytes) => format!("what may be base64 of {} bytes without padding", bytes.len()),
        None => format!("{} bytes of text that are neither hex nor base64", text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_both_alphabets_with_and_without_padding() {
        for (text, bytes) in [
            ("", Some(vec![])),
            ("AQ==", Some(vec![1])),
            ("AQ", Some(vec![1])),
            ("AR==", Some(vec![1])),
            ("AQI=", Some(vec![1, 2])),
            ("AQI", Some(vec![1, 2])),
            ("AQID", Some(vec![1, 2, 3])),
            ("+/+/", Some(vec![0xfb, 0xff, 0xbf])),
            ("-_-_", Some(vec![0xfb, 0xff, 0xbf])),
            ("A", None),
            ("AQ=", None),
            ("A===", None),
            ("====", None),
            ("AQID=", None),
            ("AQ I=", None),
            ("AQ\n=", None),
        ] {
            assert_eq!(from_base64(text.as_bytes()), bytes, "{text}");
        }
    }

    #[test]
    fn hex_of_any_case() {
        let mut to = [0; 3];
        assert!(from_hex(&mut to, b"00aFFa"));
        assert_eq!(to, [0x00, 0xaf, 0xfa]);
        for byte in 0..=255_u8 {
            let is_digit = byte.is_ascii_hexdigit();
            assert_eq!(from_hex(&mut [0], &[byte, b'0']), is_digit);
            assert_eq!(from_hex(&mut [0], &[b'0', byte]), is_digit);
        }
    }
}
