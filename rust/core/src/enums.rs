//! OTLP enums by their names.

use crate::columns::ByteBuffer;
use crate::columns::Labels;
use crate::text;

/// Appends "OTLP's name, an unknown number as its decimal text", for so many rows.
#[inline]
pub(crate) fn push_enum(column: &mut Labels, names: &[&'static str], number: i32, rows: usize) {
    match usize::try_from(number).ok().and_then(|i| Some((i, names.get(i)?))) {
        Some((i, name)) => column.push_numbered(i, name, rows),
        None => push_number(column, number, rows),
    }
}

#[cold]
fn push_number(column: &mut Labels, number: i32, rows: usize) {
    let mut digits = ByteBuffer::default();
    text::push_int(&mut digits, number);
    column.push_rows(digits.as_slice(), rows);
}
