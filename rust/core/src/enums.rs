//! OTLP enums by their names.

use crate::buffer::ByteBuffer;
use crate::columns::Labels;
use crate::text;

/// Appends "OTLP's name, an unknown number as its decimal text".
#[inline]
pub(crate) fn push_enum(column: &mut Labels, names: &[&str], number: i32) {
    if let Some(name) = usize::try_from(number).ok().and_then(|i| names.get(i)) {
        column.push(name.as_bytes());
    } else {
        let mut digits = ByteBuffer::default();
        text::push_int(&mut digits, number);
        column.push(digits.as_slice());
    }
}
