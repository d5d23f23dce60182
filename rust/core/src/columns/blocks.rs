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

/// What of a block JSON does not hold as it is: bytes of which some are not 0 if there is anything.
#[derive(Clone, Copy)]
pub(crate) struct Special([u8; BLOCK / 2]);

impl Special {
    #[inline(always)]
    pub fn or(mut self, other: Self) -> Self {
        for (one, another) in self.0.iter_mut().zip(other.0) {
            *one |= another;
        }
        self
    }

    /// Whether there is nothing.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        u128::from_ne_bytes(self.0) == 0
    }
}

/// Copies a block, of which `len` bytes (at most `BLOCK`) count. Special is what is no ASCII, and
/// control characters, quotes and backslashes.
#[inline(always)]
pub(crate) fn copy_block(to: &mut [u8; BLOCK], from: &[u8; BLOCK], len: usize) -> Special {
    let Some(mask) = MASKS.get(BLOCK - len..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
        return Special([1; BLOCK / 2]);
    };
    *to = *from;
    let mut special = [0_u8; BLOCK];
    for i in 0..BLOCK {
        // With bit 1 flipped a quote is the number above the control characters', and those stay
        // among themselves; as a signed number a byte from 0x80 on is below them.
        let is_special = (((from[i] ^ 2) as i8) <= 0x20) | (from[i] == b'\\');
        special[i] = u8::from(is_special).wrapping_neg() & mask[i];
    }
    let mut both = [0; BLOCK / 2];
    for i in 0..BLOCK / 2 {
        both[i] = special[i] | special[i + BLOCK / 2];
    }
    Special(both)
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
