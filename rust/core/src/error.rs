//! What can go wrong in an append, and whose record it costs.
//!
//! On the hot path an error is an address and a kind, nothing more. The byte offset and the
//! field path are found when the error is shown, by walking the payload once more along the
//! message descriptors (`descriptors.rs`): a path that is kept up to date while all goes well
//! would be paid for by every record.

use std::fmt;

/// Why bytes are not a protobuf message of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Truncated,
    VarintTooLong,
    TagTooLarge,
    FieldNumberZero,
    WireType(u8),
    LengthTooLong,
    LengthBeyondEnd,
    PackedLength,
    UnmatchedEndGroup,
    GroupsTooDeep,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => {
                f.write_str("found the end of the message inside a field, expected more bytes")
            }
            Self::VarintTooLong => {
                f.write_str("found a varint longer than 10 bytes, expected at most 10")
            }
            Self::TagTooLarge => {
                f.write_str("found a field tag above 32 bits, expected at most 5 bytes")
            }
            Self::FieldNumberZero => f.write_str("found field number 0, expected 1 or more"),
            Self::WireType(n) => write!(f, "found wire type {n}, expected 0, 1, 2, 3 or 5"),
            Self::LengthTooLong => {
                f.write_str("found a length of more than 5 bytes, expected at most 5")
            }
            Self::LengthBeyondEnd => {
                f.write_str("found a length that reaches beyond the enclosing message")
            }
            Self::PackedLength => {
                f.write_str("found packed 64-bit values whose length is not a multiple of 8")
            }
            Self::UnmatchedEndGroup => {
                f.write_str("found an end-group tag without its start-group tag")
            }
            Self::GroupsTooDeep => f.write_str("found groups nested deeper than 100"),
        }
    }
}

/// Why a record that is well-formed protobuf is not stored (SCHEMA: "values that do not fit").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    Attributes(usize),
    Depth,
    Count(u64),
    Duration { start: u64, end: u64 },
    OldKind,
    OldLabels,
}

impl Misfit {
    /// The message, with the limits that the number is compared to.
    pub fn describe(&self, limits: &crate::Limits) -> String {
        match self {
            Self::Attributes(n) => {
                format!("found {n} attributes in one list, expected at most {}", limits.attributes)
            }
            Self::Depth => {
                format!(
                    "found a value nested deeper than {} arrays and key-value lists",
                    limits.depth
                )
            }
            Self::OldKind => "found a metric kind of OTLP 0.8, expected gauge, sum, histogram, \
                              exponential histogram or summary"
                .to_owned(),
            Self::OldLabels => {
                "found the labels of OTLP 0.8, expected attributes in their place".to_owned()
            }
            Self::Count(n) => format!("found a count of {n}, expected at most {}", i64::MAX),
            Self::Duration { start, end } => {
                format!(
                    "found start {start} ns and end {end} ns, expected a duration within 64 bits"
                )
            }
        }
    }
}

/// A record, resource, scope or metric that does not fit, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reject {
    pub address: usize,
    pub misfit: Misfit,
}

/// What stops the reading of one record: the request's end or only the record's.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Malformed bytes at an address inside the payload.
    Wire {
        address: usize,
        kind: Malformed,
    },
    Reject(Reject),
    Limit(Excess),
}

/// A `Trouble`, boxed: results of the hot path travel in registers.
#[derive(Debug)]
pub(crate) struct Fault(pub Box<Trouble>);

impl From<Excess> for Fault {
    fn from(excess: Excess) -> Self {
        Self(Box::new(Trouble::Limit(excess)))
    }
}

impl Fault {
    /// Malformed bytes where `bytes` begin.
    #[cold]
    pub fn wire(bytes: &[u8], kind: Malformed) -> Self {
        Self(Box::new(Trouble::Wire { address: bytes.as_ptr() as usize, kind }))
    }

    /// A record that does not fit, because of what `bytes` hold.
    #[cold]
    pub fn reject(bytes: &[u8], misfit: Misfit) -> Self {
        Self(Box::new(Trouble::Reject(Reject { address: bytes.as_ptr() as usize, misfit })))
    }

    /// The reject, if that is what this is; any other trouble is passed on.
    #[cold]
    pub fn into_reject(self) -> Result<Reject, Self> {
        match *self.0 {
            Trouble::Reject(reject) => Ok(reject),
            _ => Err(self),
        }
    }
}

/// Which limit of a whole request is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The decompressed payload, or the protobuf that its JSON stands for, has more bytes than
    /// allowed.
    PayloadBytes {
        /// Bytes of the payload.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More log records, spans or data points than allowed.
    Records {
        /// Records allowed.
        limit: usize,
    },
    /// More span events, span links and exemplars than allowed.
    Nested {
        /// Events, links and exemplars allowed together.
        limit: usize,
    },
    /// More (table, service, hour) groups than allowed.
    Groups {
        /// Groups allowed.
        limit: usize,
    },
    /// More parts of messages that are given more than once than allowed.
    Parts {
        /// Parts allowed.
        limit: usize,
    },
    /// The records take more memory as rows than the request's size allows them.
    Memory {
        /// Bytes allowed.
        limit: usize,
    },
    /// Resource, scope and metric values, written into every row, take more bytes than allowed.
    RepeatedBytes {
        /// Bytes allowed.
        limit: u64,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayloadBytes { found, limit } => {
                write!(f, "found a payload of {found} bytes, expected at most {limit}")
            }
            Self::Records { limit } => write!(f, "found more than {limit} records in one request"),
            Self::Nested { limit } => {
                write!(f, "found more than {limit} span events, links and exemplars in one request")
            }
            Self::Groups { limit } => {
                write!(
                    f,
                    "found more than {limit} groups of table, service and hour in one request"
                )
            }
            Self::Parts { limit } => {
                write!(f, "found more than {limit} parts of messages given more than once")
            }
            Self::Memory { limit } => write!(
                f,
                "found a request that takes more than {limit} bytes of memory as rows, expected at most that"
            ),
            Self::RepeatedBytes { limit } => write!(
                f,
                "found resource, scope and metric values that take more than {limit} bytes when written into every row"
            ),
        }
    }
}

/// How a payload was written, as far as its errors tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf.
    Protobuf,
    /// JSON text.
    Json {
        /// The number of the line, from 1 on, in JSON lines.
        line: Option<usize>,
    },
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protobuf => f.write_str("protobuf"),
            Self::Json { line: None } => f.write_str("json"),
            Self::Json { line: Some(line) } => write!(f, "json in line {line}"),
        }
    }
}

/// Why an append was refused; the builders are as they were before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendError {
    /// The payload is not an OTLP export request.
    Malformed {
        /// How the payload was written.
        format: Format,
        /// What was found and expected.
        message: String,
        /// Byte offset in the payload.
        offset: usize,
        /// Dotted field path, empty at the top level.
        path: String,
    },
    /// The request passes a limit.
    TooLarge(Excess),
    /// The builders hold as much as one batch may: finish, then append again.
    Full,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { format, message, offset, path } if path.is_empty() => {
                write!(f, "malformed {format} at byte {offset}: {message}")
            }
            Self::Malformed { format, message, offset, path } => {
                write!(f, "malformed {format} at byte {offset}, in {path}: {message}")
            }
            Self::TooLarge(excess) => excess.fmt(f),
            Self::Full => {
                f.write_str("found full builders, expected a finish before the next append")
            }
        }
    }
}

impl std::error::Error for AppendError {}
