//! OTLP enums by their names.

use crate::columns::ByteBuffer;
use crate::columns::Labels;
use crate::text;

/// Appends "OTLP's name, an unknown number as its decimal text".
#[inline]
pub(crate) fn push_enum(column: &mut Labels, names: &[&'static str], number: i32) {
    match usize::try_from(number).ok().and_then(|i| Some((i, names.get(i)?))) {
        Some((i, name)) => column.push_numbered(i, name),
        None => push_number(column, number),
    }
}

#[cold]
fn push_number(column: &mut Labels, number: i32) {
    let mut digits = ByteBuffer::default();
    text::push_int(&mut digits, number);
    column.push(digits.as_slice());
}
