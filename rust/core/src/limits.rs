//! The bounds that hold before any byte is believed: memory follows these, not the sender.

/// What one request may hold. Counts are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the decompressed payload.
    pub payload_bytes: usize,
    /// Log records, spans or data points.
    pub records: usize,
    /// Span events, span links and exemplars together.
    pub nested: usize,
    /// Distinct (table, service, hour) groups.
    pub groups: usize,
    /// Entries of one attribute list; past it the record is rejected, not the request.
    pub attributes: usize,
    /// Arrays and key-value lists inside one another; past it the record is rejected.
    pub depth: usize,
    /// Bytes that resource, scope and metric values take when they are written into every row;
    /// `None` counts them as memory, for who has them written.
    pub repeated_bytes: Option<u64>,
    /// Bytes of memory that a request may take, its payload included; `None` is what its size
    /// allows it ([`Limits::memory`]).
    pub memory_bytes: Option<usize>,
}

impl Limits {
    /// The most that `payload_bytes` may be set to: Arrow's 32-bit offsets must hold eight times
    /// a payload (the most that rendering as JSON can grow it) on top of [`FULL_COLUMN_BYTES`].
    pub const MAX_PAYLOAD_BYTES: usize = 192 << 20;

    /// Bytes of memory that a request of so many bytes may take: a multiple of its size, and what
    /// a small one of many records needs.
    #[must_use]
    pub fn memory(&self, payload_bytes: usize) -> usize {
        self.memory_bytes.unwrap_or(payload_bytes.saturating_mul(6).saturating_add(128 << 20))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: 64 << 20,
            records: 1_000_000,
            nested: 1_000_000,
            groups: 10_000,
            attributes: 10_000,
            depth: 64,
            repeated_bytes: Some(4 << 30),
            memory_bytes: None,
        }
    }
}

/// When the builders hold this many bytes, the next append is refused until a finish:
/// so no column can pass Arrow's 32-bit offsets, whatever the next request holds.
pub(crate) const FULL_COLUMN_BYTES: usize = 384 << 20;
