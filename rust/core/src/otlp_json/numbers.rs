//! Numbers of OTLP/JSON: as JSON numbers or as strings of the same spelling, and exact.
//!
//! "64-bit integers: strings or numbers; `1.0` and `"1e3"` are integers too." A double's digits
//! never pass through another type.

/// The value of decimal digits alone, as nearly all integers are spelled.
#[inline(always)]
pub(super) fn plain_digits(text: &[u8]) -> Option<u64> {
    // 19 digits always fit; a leading zero is no JSON number, unless it is the whole.
    if text.is_empty() || text.len() > 19 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let (mut value, mut is_digits) = (0_u64, true);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        is_digits &= digit < 10;
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    is_digits.then_some(value)
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
pub(super) fn nearest_double(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
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
        assert_eq!(plain_digits(b"1790000000646039268"), Some(1_790_000_000_646_039_268));
        assert_eq!(plain_digits(b"0"), Some(0));
        for text in ["", "01", "1.0", "-1", "1e3", "12345678901234567890", "1 ", "1:"] {
            assert_eq!(plain_digits(text.as_bytes()), None, "{text}");
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
