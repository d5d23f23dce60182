//! Short strings copied and checked in one block, whatever their length.
//!
//! Telemetry is strings of a few bytes to a few dozen. A copy of exactly `len` bytes costs a
//! branch that the processor guesses wrongly, because lengths vary; a copy of a whole block
//! costs none. So both sides need room for a block: the source has it unless the string is
//! among the last bytes of a request, the destination is made to have it.

/// The longest string that is copied as one block.
pub(crate) const BLOCK: usize = 32;

/// 0xff for each byte that counts: `MASKS[BLOCK - len..]` begins with `len` of them.
static MASKS: [u8; 2 * BLOCK] = {
    let mut masks = [0; 2 * BLOCK];
    let mut i = 0;
    while i < BLOCK {
        masks[i] = 0xff;
        i += 1;
    }
    masks
};

/// Copies a block; 0 if its first `len` bytes (at most `BLOCK`) are ASCII without control
/// characters, quotes and backslashes: what JSON holds as it is.
#[inline(always)]
pub(crate) fn copy_plain_block(to: &mut [u8; BLOCK], from: &[u8; BLOCK], len: usize) -> u128 {
    let Some(mask) = MASKS.get(BLOCK - len..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
        return 1;
    };
    *to = *from;
    let mut special = [0_u8; BLOCK];
    for i in 0..BLOCK {
        // As a signed number a byte from 0x80 on is below a space too.
        let is_special = ((from[i] as i8) < 0x20) | (from[i] == b'"') | (from[i] == b'\\');
        special[i] = u8::from(is_special) & mask[i];
    }
    let (halves, _) = special.as_chunks::<16>();
    u128::from_ne_bytes(halves[0]) | u128::from_ne_bytes(halves[1])
}

/// The block that begins at `at`; callers know that it is there, as with an index.
#[inline(always)]
pub(crate) fn block_of(bytes: &[u8], at: usize) -> &[u8; BLOCK] {
    bytes[at..].first_chunk().expect("a block")
}

/// The block to be written at `at`; callers made room for it.
#[inline(always)]
pub(crate) fn block_at(bytes: &mut [u8], at: usize) -> &mut [u8; BLOCK] {
    bytes[at..].first_chunk_mut().expect("room for a block")
}
