//! Content encodings undone, with a hard bound on the output.
//!
//! A body must be whole streams of its encoding from the first byte to the last; it is never half
//! read. What it claims about its size decides how much address space is asked for and nothing
//! else: pages that nothing is written to cost no memory, so a bomb costs at most the bound.

//!
//! A crate of its own, so that the fuzzer can feed it; it knows neither OTLP nor Python.

mod libdeflate;

use std::borrow::Cow;

pub use crate::libdeflate::crc32;
use crate::libdeflate::{Decompressor, Failure, Wrapper};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not at all.
    Identity,
    /// Gzip members (RFC 1952).
    Gzip,
    /// One zlib stream (RFC 1950).
    Deflate,
    /// Zstandard frames (RFC 8878).
    Zstd,
}

impl ContentEncoding {
    /// The coding of a Content-Encoding header's value, in any case; an empty one is identity.
    ///
    /// The value is a list of codings (RFC 9110, 8.4), in which identity counts for nothing; more
    /// than one that counts is not read.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let codings = name.split(',').map(|coding| coding.trim().to_ascii_lowercase());
        let mut codings = codings.filter(|name| !matches!(name.as_str(), "" | "identity" | "none"));
        let Some(coding) = codings.next() else { return Some(Self::Identity) };
        if codings.next().is_some() {
            return None;
        }
        match coding.as_str() {
            // RFC 9110, 8.4.1.3: x-gzip is "equivalent to gzip".
            "gzip" | "x-gzip" => Some(Self::Gzip),
            // The coding deflate is the zlib format, and some call it by that name.
            "deflate" | "zlib" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Why a body is not inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Its encoding's own format is broken, with the reason: not gzip, a wrong checksum, cut short.
    Broken(String),
    /// It would be larger than the limit.
    TooLarge,
}

/// The payload without its content encoding: at most `limit` bytes, whatever it claims to be.
/// (What is not encoded is given as it is, whatever its size.)
///
/// # Errors
/// [`Error`]: not whole streams of the encoding, or more than `limit` bytes of content.
pub fn inflate(
    payload: &[u8],
    encoding: ContentEncoding,
    limit: usize,
) -> Result<Cow<'_, [u8]>, Error> {
    // "A 0-byte body is empty whatever its Content-Encoding" (OTLP.md's table of answers).
    if payload.is_empty() {
        return Ok(Cow::Borrowed(payload));
    }
    let limit = limit.min(most_content(payload.len(), encoding));
    match encoding {
        ContentEncoding::Identity => Ok(Cow::Borrowed(payload)),
        ContentEncoding::Gzip => gunzip(payload, limit).map(Cow::Owned),
        ContentEncoding::Deflate => unzlib(payload, limit).map(Cow::Owned),
        ContentEncoding::Zstd => unzstd(payload, limit).map(Cow::Owned),
    }
}

/// More than so many bytes of content no body of `bytes` has, whatever it says of itself; so no
/// limit asks for more memory than a body can fill.
fn most_content(bytes: usize, encoding: ContentEncoding) -> usize {
    let most = match encoding {
        ContentEncoding::Identity => bytes,
        ContentEncoding::Gzip | ContentEncoding::Deflate => bytes.saturating_mul(MOST_DEFLATED),
        // A block of three bytes stands for up to 128 KiB (RFC 8878, 3.1.1.2).
        ContentEncoding::Zstd => (bytes / 3 + 1).saturating_mul(128 << 10),
    };
    // What an allocation may have at most; a process that has not got it ends at the limit.
    most.min(isize::MAX as usize)
}

/// What deflate can do at all: a match of 258 bytes takes two bits.
const MOST_DEFLATED: usize = 1032;

/// Gzip members one after another (RFC 1952, 2.2: "a gzip file consists of a series of members").
fn gunzip(payload: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(first_capacity(gzip_hint(payload), limit));
    let mut decompressor = Decompressor::new();
    let mut at = 0;
    while at < payload.len() {
        at += append_stream(&mut decompressor, Wrapper::Gzip, &payload[at..], &mut out, limit)
            .map_err(|failure| match failure {
                Failure::NoSpace => Error::TooLarge,
                Failure::Broken => Error::Broken(format!(
                    "found a gzip body that cannot be inflated (the member at byte {at} is not \
                     gzip, is cut short or does not match its checksum), expected whole gzip \
                     members and nothing else"
                )),
            })?;
    }
    Ok(out)
}

/// One zlib stream: RFC 9110, 8.4.1.2: "the 'deflate' coding is a 'zlib' data format".
fn unzlib(payload: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    // Telemetry shrinks to a fifth or less; there is no trailer that says by how much.
    let hint = payload.len().saturating_mul(16);
    let mut out = Vec::with_capacity(first_capacity(hint, limit));
    let read = append_stream(&mut Decompressor::new(), Wrapper::Zlib, payload, &mut out, limit)
        .map_err(|failure| match failure {
            Failure::NoSpace => Error::TooLarge,
            Failure::Broken => Error::Broken(
                "found a deflate body that cannot be inflated (it is not zlib, is cut short \
                     or does not match its checksum), expected one whole zlib stream"
                    .to_owned(),
            ),
        })?;
    if read < payload.len() {
        return Err(Error::Broken(format!(
            "found {} bytes behind the zlib stream of a deflate body, expected none",
            payload.len() - read
        )));
    }
    Ok(out)
}

/// Zstandard frames one after another (RFC 8878, 3), skippable ones among them.
///
/// The frames are decoded straight into the output, which is their window: the window size that
/// a frame asks for is never allocated.
fn unzstd(payload: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let broken = |why: &str| {
        Error::Broken(format!(
            "found a zstd body that cannot be inflated ({why}), expected whole zstd frames and \
             nothing else"
        ))
    };
    // The sizes that the frames state, else 128 KiB for each of their blocks.
    let bound = zstd_safe::decompress_bound(payload)
        .map_err(|_| broken("it is not zstd, or a frame is cut short"))?;
    let fits = bound <= limit as u64;
    // The bound is below the limit, or the limit is.
    let mut out: Vec<u8> = Vec::with_capacity(if fits { bound as usize } else { limit });
    match zstd_safe::decompress(&mut out, payload) {
        Ok(size) if size <= limit => Ok(out),
        Ok(_) => Err(Error::TooLarge),
        Err(code) if !fits && is_no_space(code) => Err(Error::TooLarge),
        Err(code) => Err(broken(&zstd_safe::get_error_name(code).to_ascii_lowercase())),
    }
}

/// Whether an error of zstd's says that the destination is too small.
fn is_no_space(code: zstd_safe::ErrorCode) -> bool {
    use zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall;
    code == (ZSTD_error_dstSize_tooSmall as usize).wrapping_neg()
}

/// Appends what one zlib or gzip stream holds to `out`; gives the length of the stream.
///
/// Room that does not suffice is extended once, to the limit, and the stream is read again.
fn append_stream(
    decompressor: &mut Decompressor,
    wrapper: Wrapper,
    stream: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, Failure> {
    let room = out.capacity().min(limit) - out.len();
    match decompressor.append(wrapper, stream, out, room) {
        Err(Failure::NoSpace) if out.len() + room < limit => {
            out.reserve_exact(limit - out.len());
            let room = limit - out.len();
            decompressor.append(wrapper, stream, out, room)
        }
        done => done,
    }
}

/// What to allocate first for an output of about `hint` bytes.
///
/// When room has to be extended, what was written so far exists twice for a moment. Half of the
/// limit at most may be written before that, so that the limit is all it ever takes.
fn first_capacity(hint: usize, limit: usize) -> usize {
    if hint > limit / 2 { limit } else { hint }
}

/// The size that the last gzip member states: exact for an honest body of one member.
///
/// Bounded by what deflate can do at all, 1,032 to 1, so that a lie is not even asked for.
fn gzip_hint(payload: &[u8]) -> usize {
    let stated = payload.last_chunk().map_or(0, |bytes: &[u8; 4]| u32::from_le_bytes(*bytes));
    (stated as usize).min(payload.len().saturating_mul(MOST_DEFLATED))
}
