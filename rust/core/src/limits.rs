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
    /// Bytes that resource, scope and metric values take when they are written into every row.
    pub repeated_bytes: u64,
}

impl Limits {
    /// The most that `payload_bytes` may be set to: Arrow's 32-bit offsets must hold eight times
    /// a payload (the most that rendering as JSON can grow it) on top of [`FULL_COLUMN_BYTES`].
    pub const MAX_PAYLOAD_BYTES: usize = 192 << 20;
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
            repeated_bytes: 4 << 30,
        }
    }
}

/// When the builders hold this many bytes, the next append is refused until a finish:
/// so no column can pass Arrow's 32-bit offsets, whatever the next request holds.
pub(crate) const FULL_COLUMN_BYTES: usize = 384 << 20;
