//! Times: OTLP's nanoseconds as the tables' microseconds and the nanoseconds beside them.

use crate::columns::{Instants, Int32s, column_of};

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The hour of a time in microseconds, as a range of microseconds.
pub(crate) fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_HOUR)
}

/// Nanoseconds since the epoch as microseconds and the nanoseconds within the last one.
#[inline(always)]
pub(crate) fn split_nanos(nanos: u64) -> (i64, i32) {
    // "Every u64 of nanoseconds fits in µs."
    ((nanos / 1000) as i64, (nanos % 1000) as i32)
}

/// The `Timestamp` and `TimestampNanos` of one row, and the hour they belong to.
#[derive(Clone, Copy, Default)]
pub(crate) struct RowTime {
    micros: i64,
    nanos: Option<i32>,
}

impl RowTime {
    /// A time that OTLP gave; `fallback` stands in for 0, without nanoseconds.
    #[inline(always)]
    pub fn new(time: u64, fallback: u64) -> Self {
        if time == 0 {
            Self { micros: split_nanos(fallback).0, nanos: None }
        } else {
            let (micros, nanos) = split_nanos(time);
            Self { micros, nanos: Some(nanos) }
        }
    }

    #[inline(always)]
    pub fn hour(self) -> i64 {
        hour_of(self.micros)
    }
}

/// A time column and its nanoseconds.
#[derive(Default)]
pub(crate) struct Times {
    pub micros: Instants,
    pub nanos: Int32s,
}

column_of!(Times { micros, nanos });

impl Times {
    #[inline(always)]
    pub fn push_row_time(&mut self, time: RowTime) {
        self.micros.push(time.micros);
        self.nanos.push_option(time.nanos);
    }

    /// As `push_row_time`, to `rows` rows.
    pub fn extend_row_time(&mut self, time: RowTime, rows: usize) {
        self.micros.extend(time.micros, rows);
        self.nanos.extend_option(time.nanos, rows);
    }

    /// As `push`, to `rows` rows.
    pub fn extend(&mut self, nanos: u64, rows: usize) {
        let time = (nanos != 0).then(|| split_nanos(nanos));
        self.micros.extend_option(time.map(|t| t.0), rows);
        self.nanos.extend_option(time.map(|t| t.1), rows);
    }

    /// "A time of 0 in OTLP means not given and is null."
    #[inline(always)]
    pub fn push(&mut self, nanos: u64) {
        let time = (nanos != 0).then(|| split_nanos(nanos));
        self.micros.push_option(time.map(|t| t.0));
        self.nanos.push_option(time.map(|t| t.1));
    }
}
