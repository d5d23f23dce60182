//! A growing byte buffer that can be written in whole words.
//!
//! A `Vec` copies a short string by a call to `memcpy` behind a capacity check; telemetry is
//! short strings. This buffer is initialised past its end, so that a string is checked and
//! copied eight bytes at a time by plain (and safe) stores, and counts its own length. It is so a
//! little at a time: what is zeroed just before it is written is still in the cache then.

/// From this size on a buffer grows by less: a chunk of a column, and the row that ends it.
const LARGE: usize = super::texts::CHUNK + (64 << 10);

/// So much is initialised at a time.
const STEP: usize = 4 << 10;

/// Room that is kept whatever is in use.
const KEPT_BYTES: usize = 64 << 10;

/// Bytes, `len` of them in use.
#[derive(Default)]
pub(crate) struct ByteBuffer {
    /// Those in use, and those behind them that may be written.
    bytes: Vec<u8>,
    len: usize,
}

impl ByteBuffer {
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Bytes that it holds at least before it grows.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for so many bytes in all, if there is none yet.
    pub fn expect(&mut self, bytes: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes = Vec::with_capacity(bytes);
        }
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Gives back room that is far above what is in use.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES && self.bytes.capacity() / 4 > self.len {
            self.bytes.truncate(self.len);
            self.bytes.shrink_to(self.len + self.len / 4);
        }
    }

    /// The `count` bytes after the end, whatever they hold; `advance` takes them into use.
    #[inline(always)]
    pub fn spare(&mut self, count: usize) -> &mut [u8] {
        let len = self.len;
        if self.bytes.len() < len || self.bytes.len() - len < count {
            self.grow(count);
        }
        &mut self.bytes[len..][..count]
    }

    /// As `spare`, with a size that the compiler knows.
    #[inline(always)]
    pub fn room<const COUNT: usize>(&mut self) -> &mut [u8; COUNT] {
        let len = self.len;
        // Written so that one comparison is left of the checks.
        if self.bytes.len() >= len && self.bytes.len() - len >= COUNT {
            return self.bytes[len..].first_chunk_mut().expect("compared above");
        }
        self.grown_room()
    }

    #[cold]
    #[inline(never)]
    fn grown_room<const COUNT: usize>(&mut self) -> &mut [u8; COUNT] {
        self.grow(COUNT);
        self.bytes[self.len..].first_chunk_mut().expect("grown to it")
    }

    /// The bytes after the end that are initialised, whatever they hold.
    #[inline(always)]
    pub fn initialised(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    #[inline(always)]
    pub fn advance(&mut self, count: usize) {
        self.len += count;
        debug_assert!(self.len <= self.bytes.len());
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, count: usize) {
        let (wanted, room) = (self.len + count, self.bytes.capacity());
        if wanted > room {
            // A buffer that is moved exists twice for a moment, and what it has too much is memory
            // as well: large ones grow by a quarter.
            let room = if room < LARGE { (2 * room).min(LARGE) } else { room + room / 4 };
            self.bytes.truncate(self.len);
            self.bytes.reserve_exact(room.max(wanted).max(1024) - self.len);
        }
        self.bytes.resize((wanted + STEP).min(self.bytes.capacity()), 0);
    }

    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        self.spare(1)[0] = byte;
        self.len += 1;
    }

    #[inline(always)]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.spare(bytes.len()).copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Moves everything from `at` on to make room for `bytes`.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        let end = self.len;
        self.extend_from_slice(bytes);
        self.bytes.copy_within(at..end, at + bytes.len());
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes out the bytes of a range; what stands behind them moves up.
    pub fn remove(&mut self, range: std::ops::Range<usize>) {
        self.bytes.copy_within(range.end..self.len, range.start);
        self.len -= range.len();
    }

    /// The bytes in use; the buffer is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(std::mem::take(&mut self.len));
        bytes
    }
}

impl From<Vec<u8>> for ByteBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self { bytes, len }
    }
}
