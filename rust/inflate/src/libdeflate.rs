//! libdeflate behind a safe face: one stream at a time into the spare room of a vector.
//!
//! It inflates telemetry about twice as fast as zlib-rs and zlib-ng do, because it sees the whole
//! input and the whole output. It wants the room beforehand and says when it does not suffice.

use std::ptr::NonNull;

use libdeflate_sys as sys;

/// The CRC-32 of gzip and zlib, going on from `value`, which begins as 0.
///
/// It is taken 16 bytes and more at a time, by the processor's carry-less multiplication.
#[must_use]
pub fn crc32(value: u32, bytes: &[u8]) -> u32 {
    // SAFETY: reads the bytes, which are given with their length, and nothing else.
    unsafe { sys::libdeflate_crc32(value, bytes.as_ptr().cast(), bytes.len()) }
}

/// What lies around the deflate stream, with its checksum.
#[derive(Clone, Copy)]
pub enum Wrapper {
    Gzip,
    Zlib,
}

/// Why a stream was not read.
pub enum Failure {
    /// It is not of its format, cut short, or its checksum or size does not match.
    Broken,
    /// It holds more than the room given.
    NoSpace,
}

/// A decompressor's tables, to be used for one stream after another.
pub struct Decompressor(NonNull<sys::libdeflate_decompressor>);

impl Decompressor {
    pub fn new() -> Self {
        // SAFETY: no arguments; null is its only failure.
        let made = unsafe { sys::libdeflate_alloc_decompressor() };
        Self(NonNull::new(made).expect("memory for a decompressor's tables, 12 KB"))
    }

    /// Reads the stream that `input` begins with and appends its content, at most `room` bytes,
    /// to `out`, whose spare capacity must hold them. Gives the length of the stream in `input`.
    /// After a failure `out` is as before.
    pub fn append(
        &mut self,
        wrapper: Wrapper,
        input: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<usize, Failure> {
        let decompress = match wrapper {
            Wrapper::Gzip => sys::libdeflate_gzip_decompress_ex,
            Wrapper::Zlib => sys::libdeflate_zlib_decompress_ex,
        };
        let spare = &mut out.spare_capacity_mut()[..room];
        let (mut read, mut written) = (0, 0);
        // SAFETY: the decompressor is alive and exclusively ours; both buffers are given with
        // their lengths; libdeflate only writes to the output.
        let result = unsafe {
            decompress(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                spare.as_mut_ptr().cast(),
                spare.len(),
                &mut read,
                &mut written,
            )
        };
        match result {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS => {
                assert!(read <= input.len() && written <= room);
                // SAFETY: libdeflate has written the first `written` bytes of the spare room.
                unsafe { out.set_len(out.len() + written) };
                Ok(read)
            }
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Failure::NoSpace),
            _ => Err(Failure::Broken),
        }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: allocated by libdeflate in `new`, freed once.
        unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) };
    }
}
