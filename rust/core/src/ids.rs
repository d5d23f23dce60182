//! Ids of traces and spans: hex in the tables, null where OTLP gives none.

use crate::columns::Texts;
use crate::error::Excess;
use crate::request::Request;
use crate::text;

/// "Ids whose bytes are all zero" are null: "OTLP calls them invalid".
#[inline(always)]
pub(crate) fn given_id(id: &[u8]) -> &[u8] {
    let is_zero = id.first() == Some(&0) && id.iter().all(|&byte| byte == 0);
    if is_zero { &[] } else { id }
}

/// Appends an id: "lower-case hex of the bytes, whatever their length; null when empty".
#[inline(always)]
pub(crate) fn push_id(
    column: &mut Texts,
    request: &mut Request<'_>,
    id: &[u8],
) -> Result<(), Excess> {
    let id = given_id(id);
    text::push_hex(&mut column.data, id);
    column.end_row_or_null();
    request.renderer.charge(4 * id.len())
}
