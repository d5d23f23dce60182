//! Which of two neighbouring doubles a long decimal is nearest to, decided exactly.
//!
//! Knows numbers and no text but digits. The standard library's parser decides this digit by
//! digit, in time that grows with the square of the digits; numbers that lie half-way between two
//! doubles, sent by the thousand, held a server for a minute. Here digits beyond those that can
//! decide are read once, and the rest is compared as whole numbers of a few machine words.

/// No number that lies half-way between two doubles has more digits than 767, so that of digits
/// beyond these it only counts whether one of them is not zero.
const DECIDING_DIGITS: usize = 768;

/// A whole number, in words of 64 bits from the least to the greatest.
struct Whole(Vec<u64>);

impl Whole {
    fn new(value: u64) -> Self {
        // Room for what a number of usual length comes to.
        let mut words = Vec::with_capacity(32);
        words.push(value);
        Self(words)
    }

    /// `self = self * factor + addend`.
    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for word in &mut self.0 {
            let product = u128::from(*word) * u128::from(factor) + u128::from(carry);
            *word = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry > 0 {
            self.0.push(carry);
        }
    }

    fn multiply_by_power_of_5(&mut self, mut exponent: u32) {
        /// The greatest power of five in a word is 5^27.
        const MOST: u32 = 27;
        while exponent > MOST {
            self.multiply_add(5_u64.pow(MOST), 0);
            exponent -= MOST;
        }
        self.multiply_add(5_u64.pow(exponent), 0);
    }

    /// Multiplies by 2^`bits`.
    fn shift(&mut self, bits: u32) {
        let (words, bits) = ((bits / 64) as usize, bits % 64);
        if bits > 0 {
            self.multiply_add(1 << bits, 0);
        }
        self.0.splice(0..0, std::iter::repeat_n(0, words));
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let significant = |words: &Self| words.0.iter().rposition(|&word| word != 0);
        significant(self).cmp(&significant(other)).then_with(|| {
            self.0
                .iter()
                .rev()
                .skip_while(|&&w| w == 0)
                .cmp(other.0.iter().rev().skip_while(|&&w| w == 0))
        })
    }
}

/// The nearer of two neighbouring doubles, both positive (or zero, or infinity above), to the
/// decimal `0.DIGITS * 10^point`; the even one if it lies half-way. `digits` are values from 0 to
/// 9, of which the first is not 0.
pub(super) fn nearer(
    lower: f64,
    upper: f64,
    digits: impl Iterator<Item = u8> + Clone,
    count: usize,
    point: i64,
) -> f64 {
    let mut decimal = Whole::new(0);
    let mut chunk = (0_u64, 1_u64);
    for digit in digits.clone().take(DECIDING_DIGITS) {
        chunk = (chunk.0 * 10 + u64::from(digit), chunk.1 * 10);
        if chunk.1 == 10_u64.pow(19) {
            decimal.multiply_add(chunk.1, chunk.0);
            chunk = (0, 1);
        }
    }
    decimal.multiply_add(chunk.1, chunk.0);
    let mut read = count.min(DECIDING_DIGITS);
    if count > DECIDING_DIGITS {
        let is_more = digits.skip(DECIDING_DIGITS).any(|digit| digit != 0);
        decimal.multiply_add(10, u64::from(is_more));
        read += 1;
    }
    // decimal * 10^tens against middle * 2^twos, where the middle is that of the two doubles.
    let tens = point - read as i64;
    let (mantissa, exponent) = parts(lower);
    let mut middle = Whole::new(2 * mantissa + 1);
    let mut twos = exponent - 1 - tens;
    if tens >= 0 {
        decimal.multiply_by_power_of_5(tens as u32);
    } else {
        middle.multiply_by_power_of_5(tens.unsigned_abs() as u32);
    }
    if twos < 0 {
        decimal.shift(twos.unsigned_abs() as u32);
        twos = 0;
    }
    middle.shift(twos as u32);
    match decimal.compare(&middle) {
        std::cmp::Ordering::Less => lower,
        std::cmp::Ordering::Greater => upper,
        std::cmp::Ordering::Equal if mantissa.is_multiple_of(2) => lower,
        std::cmp::Ordering::Equal => upper,
    }
}

/// Mantissa and exponent of a finite double that is not negative: their value is
/// `mantissa * 2^exponent`.
fn parts(value: f64) -> (u64, i64) {
    const MANTISSA_BITS: u32 = 52;
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i64;
    let fraction = bits & ((1 << MANTISSA_BITS) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << MANTISSA_BITS, exponent - 1075) }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::nearest_double;

    /// The exact decimal of the middle of a double and the next one, by repeated halving.
    fn middle(value: f64) -> String {
        let (mantissa, exponent) = super::parts(value);
        let mut digits: Vec<u8> = Vec::new();
        let mut rest = 2 * u128::from(mantissa) + 1;
        while rest > 0 {
            digits.insert(0, (rest % 10) as u8);
            rest /= 10;
        }
        let mut places = 0_usize;
        for _ in 0..(exponent - 1).unsigned_abs() {
            if exponent - 1 > 0 {
                let mut carry = 0;
                for digit in digits.iter_mut().rev() {
                    let doubled = *digit * 2 + carry;
                    (*digit, carry) = (doubled % 10, doubled / 10);
                }
                if carry > 0 {
                    digits.insert(0, carry);
                }
            } else {
                // Half of it: five times it, a place further down.
                let mut carry = 0;
                for digit in digits.iter_mut().rev() {
                    let product = *digit * 5 + carry;
                    (*digit, carry) = (product % 10, product / 10);
                }
                if carry > 0 {
                    digits.insert(0, carry);
                }
                places += 1;
            }
        }
        let text: String = digits.iter().map(|&digit| char::from(b'0' + digit)).collect();
        format!("{text}e-{places}")
    }

    #[test]
    fn the_middle_goes_to_the_even_one_and_its_neighbours_to_the_nearer() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut values = vec![0.0, 5e-324, f64::MIN_POSITIVE, 1.0, 2e300, f64::MAX];
        for _ in 0..300 {
            bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            values.push(f64::from_bits(bits >> 1));
        }
        for value in values.into_iter().filter(|value| value.is_finite()) {
            let middle = middle(value);
            let (digits, exponent) = middle.split_once("e").unwrap();
            let even = if value.to_bits() % 2 == 0 { value } else { value.next_up() };
            let place: i64 = exponent.parse().unwrap();
            let zeros = "0".repeat(2000);
            for (text, expected) in [
                (middle.clone(), even),
                (format!("{digits}{zeros}e{}", place - 2000), even),
                (format!("{digits}{zeros}1e{}", place - 2001), value.next_up()),
                (format!("{digits}.{zeros}1e{place}"), value.next_up()),
            ] {
                let expected = Some(expected).filter(|double| double.is_finite());
                assert_eq!(nearest_double(text.as_bytes()), expected, "{text}");
            }
        }
    }
}
