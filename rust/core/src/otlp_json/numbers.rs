//! Numbers of OTLP/JSON: as JSON numbers or as strings of the same spelling, and exact.
//!
//! "64-bit integers: strings or numbers; `1.0` and `"1e3"` are integers too." A double's digits
//! never pass through another type.

use super::halfway::nearer;

/// The number of digits whose value always fits 64 bits.
const SAFE_DIGITS: usize = 19;

/// Whether all eight bytes are decimal digits.
#[inline(always)]
fn are_digits(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let above = word.wrapping_add(ONES * 0x46);
    let below = word.wrapping_sub(ONES * 0x30);
    (word | above | below) & (ONES * 0x80) == 0
}

/// The value of eight decimal digits, the first in the lowest byte.
#[inline(always)]
fn value_of_digits(word: u64) -> u64 {
    // Pairs of digits, then of pairs, then of those: three multiplications for all eight.
    let word = (word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(10 << 8 | 1) >> 8;
    let word = (word & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    (word & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32
}

/// The value of the digits that the text begins with, and how many they are; at most 19.
#[inline(always)]
pub(super) fn leading_digits(text: &[u8]) -> (u64, usize) {
    let (mut value, mut len) = (0, 0);
    while len <= SAFE_DIGITS - 8
        && let Some(word) = text.get(len..).and_then(|rest| rest.first_chunk::<8>())
        && are_digits(u64::from_le_bytes(*word))
    {
        value = value * 100_000_000 + value_of_digits(u64::from_le_bytes(*word));
        len += 8;
    }
    while len < SAFE_DIGITS
        && let Some(digit @ b'0'..=b'9') = text.get(len)
    {
        value = value * 10 + u64::from(digit - b'0');
        len += 1;
    }
    (value, len)
}

/// The value of decimal digits alone, as nearly all integers are spelled, and their number.
///
/// `None` if there are none, or if it is no JSON number, or perhaps one of more than 64 bits.
#[inline(always)]
pub(super) fn plain_digits(text: &[u8]) -> Option<(u64, usize)> {
    let (value, len) = leading_digits(text);
    let goes_on = matches!(text.get(len), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
    let is_number = len == 1 || (len > 1 && text[0] != b'0');
    (is_number && !goes_on).then_some((value, len))
}

/// The integer that a JSON number is, if it is one; `None` also beyond 64 bits and a sign.
///
/// `text` follows the grammar of a JSON number.
pub(super) fn exact_integer(text: &[u8]) -> Option<i128> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    // The digits from the first to the last that is not zero, and where the point is from there.
    let digits = whole.iter().chain(fraction);
    let leading = digits.clone().take_while(|&&digit| digit == b'0').count();
    let all = whole.len() + fraction.len();
    if leading == all {
        return Some(0);
    }
    let trailing = digits.clone().rev().take_while(|&&digit| digit == b'0').count();
    let scale = exponent.saturating_sub(fraction.len() as i64).saturating_add(trailing as i64);
    let significant = all - leading - trailing;
    // 2^64 has 20 digits.
    if scale < 0 || scale.saturating_add(significant as i64) > 20 {
        return None;
    }
    let mut value = digits
        .skip(leading)
        .take(significant)
        .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    for _ in 0..scale {
        value *= 10;
    }
    Some(if is_negative { -value } else { value })
}

/// The number behind the `e`; what cannot matter any more is cut off.
fn exponent(text: &[u8]) -> i64 {
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    // A mantissa of a whole payload's digits cannot bring an exponent like this back.
    let value = value.min(i64::MAX / 4);
    if is_negative { -value } else { value }
}

/// The double nearest to a JSON number; `None` beyond a double's range.
///
/// `text` follows the grammar of a JSON number. Its length is all that the time depends on.
pub(super) fn nearest_double(text: &[u8]) -> Option<f64> {
    /// The standard library decides up to so many digits without reading them again.
    const SHORT: usize = 19;
    let (sign, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) =
        at.map_or((unsigned, 0), |at| (&unsigned[..at], exponent(&unsigned[at + 1..])));
    if mantissa.len() <= SHORT {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        return value.is_finite().then_some(value);
    }
    let whole = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let digits = mantissa.iter().filter(|&&byte| byte != b'.').map(|byte| byte - b'0');
    let zeros = digits.clone().take_while(|&digit| digit == 0).count();
    let count = mantissa.len() - usize::from(whole < mantissa.len()) - zeros;
    if count == 0 {
        return Some(0.0 * sign);
    }
    let significant = digits.skip(zeros);
    // The value is 0.DIGITS * 10^point; the first digit is not zero.
    let point = exponent.saturating_add(whole as i64 - zeros as i64);
    if point < -330 {
        return Some(0.0 * sign);
    }
    if point > 310 {
        return None;
    }
    let first =
        significant.clone().take(SHORT).fold(0, |value, digit| value * 10 + u64::from(digit));
    let scale = point - count.min(SHORT) as i64;
    let lower = decimal(first, scale);
    let value = if count <= SHORT {
        lower
    } else {
        let upper = decimal(first + 1, scale);
        if lower.to_bits() == upper.to_bits() {
            lower
        } else {
            // Neighbours, for 19 digits tell all doubles apart; the digits that are left decide.
            nearer(lower, upper, significant, count, point)
        }
    };
    value.is_finite().then_some(value * sign)
}

/// The double nearest to `digits * 10^exponent`.
fn decimal(digits: u64, exponent: i64) -> f64 {
    let (mut of_digits, mut of_exponent) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (digits, exponent) = (of_digits.format(digits), of_exponent.format(exponent));
    let mut text = [0; 48];
    let (to_digits, rest) = text.split_at_mut(digits.len());
    to_digits.copy_from_slice(digits.as_bytes());
    rest[0] = b'e';
    rest[1..=exponent.len()].copy_from_slice(exponent.as_bytes());
    let text = &text[..digits.len() + 1 + exponent.len()];
    // Both numbers in decimal, so that it is one.
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::INFINITY)
}

/// The double that a short JSON number is, and the length of its text; `None` for another one.
///
/// Fifteen digits are exact in a double, and so are the powers of ten to 10^22; one division of
/// the two is the nearest double to their quotient, for that is how division rounds.
#[inline(always)]
pub(super) fn short_double(text: &[u8]) -> Option<(f64, usize)> {
    const EXACT_DIGITS: usize = 15;
    const POWERS: [f64; EXACT_DIGITS] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];
    let sign = usize::from(text.first() == Some(&b'-'));
    let (whole, len) = leading_digits(&text[sign..]);
    if len == 0 || len > EXACT_DIGITS || (len > 1 && text[sign] == b'0') {
        return None;
    }
    let mut at = sign + len;
    let mut value = whole as f64;
    if text.get(at) == Some(&b'.') {
        let (fraction, fraction_len) = leading_digits(&text[at + 1..]);
        if fraction_len == 0 || len + fraction_len > EXACT_DIGITS {
            return None;
        }
        at += 1 + fraction_len;
        let power = POWERS[fraction_len];
        value = (whole * power as u64 + fraction) as f64 / power;
    }
    if matches!(text.get(at), Some(b'0'..=b'9' | b'.' | b'e' | b'E')) {
        return None;
    }
    Some((if sign == 1 { -value } else { value }, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_in_every_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0e5", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("1.0", Some(1)),
            ("1e3", Some(1000)),
            ("1E+3", Some(1000)),
            ("1.5e1", Some(15)),
            ("1500e-2", Some(15)),
            ("-100.00e-2", Some(-1)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("1.8446744073709551615e19", Some(u64::MAX.into())),
            ("-9223372036854775808", Some(i64::MIN.into())),
            ("1.5", None),
            ("15e-1", None),
            ("1e-99999999999999999999", None),
            ("1e99999999999999999999", None),
            ("1e20", None),
            ("1e19", Some(10_000_000_000_000_000_000)),
            ("100000000000000000000", None),
        ] {
            assert_eq!(exact_integer(text.as_bytes()), value, "{text}");
        }
        let zeros = "0".repeat(1000);
        assert_eq!(exact_integer(format!("0.{zeros}1e1001").as_bytes()), Some(1));
        assert_eq!(exact_integer(format!("1{zeros}e-1000").as_bytes()), Some(1));
    }

    #[test]
    fn plain_digits_are_those_without_anything_else() {
        let text = b"1790000000646039268\"";
        assert_eq!(plain_digits(text), Some((1_790_000_000_646_039_268, 19)));
        assert_eq!(plain_digits(b"0,"), Some((0, 1)));
        assert_eq!(plain_digits(b"9999999999999999999"), Some((9_999_999_999_999_999_999, 19)));
        for text in ["", "01", "00", "1.0", "-1", "1e3", "12345678901234567890", " 1", ":"] {
            assert_eq!(plain_digits(text.as_bytes()), None, "{text}");
        }
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'1'; len];
                    text[at] = byte;
                    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let (value, found) = leading_digits(&text);
                    assert_eq!(found, digits);
                    let expected = std::str::from_utf8(&text[..digits]).unwrap().parse();
                    assert_eq!(value, expected.unwrap_or(0));
                }
            }
        }
    }

    #[test]
    fn short_doubles_are_the_nearest_ones() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            let mut digits = (state >> 14).to_string();
            digits.truncate(1 + (state >> 4) as usize % 16);
            let point = (state >> 8) as usize % digits.len();
            if point > 0 {
                digits.insert(point, '.');
            }
            if state & 1 == 1 {
                digits.insert(0, '-');
            }
            if let Some((value, len)) = short_double(digits.as_bytes()) {
                assert_eq!(len, digits.len());
                assert_eq!(value.to_bits(), digits.parse::<f64>().unwrap().to_bits(), "{digits}");
            }
        }
        assert_eq!(short_double(b"23.31}"), Some((23.31, 5)));
        for text in ["", "-", "01", "1.", ".5", "1e3", "1.5e3", "1234567890123456", "1.2.3"] {
            assert_eq!(short_double(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_end_at_their_range() {
        assert_eq!(nearest_double(b"1e308"), Some(1e308));
        assert_eq!(nearest_double(b"1e309"), None);
        assert_eq!(nearest_double(b"-1e309"), None);
        assert_eq!(nearest_double(b"1e-400"), Some(0.0));
        assert_eq!(nearest_double(b"0.1"), Some(0.1));
        assert!(nearest_double(b"-0").is_some_and(|zero| zero.to_bits() == (-0.0_f64).to_bits()));
    }
}
