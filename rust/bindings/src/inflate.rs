//! Content encodings undone, with a hard bound on the output.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::errors::Error;
use crate::input::ContentEncoding;

/// The payload without its content encoding: at most `limit` bytes, whatever it claims to be.
pub fn inflate(
    payload: &[u8],
    encoding: ContentEncoding,
    limit: usize,
) -> Result<Cow<'_, [u8]>, Error> {
    // "A 0-byte body is empty whatever its Content-Encoding" (OTLP.md's table of answers).
    if payload.is_empty() {
        return Ok(Cow::Borrowed(payload));
    }
    match encoding {
        ContentEncoding::Identity => Ok(Cow::Borrowed(payload)),
        ContentEncoding::Gzip => gunzip(payload, limit).map(Cow::Owned),
    }
}

fn gunzip(payload: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    // Room for a usual ratio: telemetry deflates to a fifth or less. Never more than the bound.
    let mut out = Vec::with_capacity(payload.len().saturating_mul(6).min(limit));
    // One byte past the bound tells a payload of exactly that size from a larger one.
    let mut reader = MultiGzDecoder::new(payload).take(limit as u64 + 1);
    reader.read_to_end(&mut out).map_err(|error| {
        Error::Inflate(format!(
            "found a gzip body that cannot be inflated ({error}), expected whole gzip members"
        ))
    })?;
    if out.len() > limit {
        return Err(Error::InflatedTooLarge { limit });
    }
    Ok(out)
}
