//! What can be wrong with JSON text: it is no export request at all, or a part of it does not fit.
//!
//! Messages say what was found by its kind and never repeat it: text comes from strangers.

use crate::error::Excess;

/// Something wrong at a byte of the text.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub at: usize,
    pub message: String,
}

#[derive(Debug)]
pub(super) enum Trouble {
    /// Not JSON, or a wrong top level: nothing of the request counts.
    Malformed(Finding),
    /// JSON, and not what OTLP has here: it costs the record, or all records below.
    Misfit(Finding),
    Limit(Excess),
}

/// A `Trouble`, boxed: results of the hot path travel in registers.
#[derive(Debug)]
pub(super) struct Fault(pub Box<Trouble>);

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    #[cold]
    #[inline(never)]
    pub fn malformed(at: usize, found: &str, expected: &str) -> Self {
        let message = format!("found {found}, expected {expected}");
        Self(Box::new(Trouble::Malformed(Finding { at, message })))
    }

    #[cold]
    #[inline(never)]
    pub fn misfit(at: usize, found: &str, expected: &str) -> Self {
        Self::misfit_message(at, format!("found {found}, expected {expected}"))
    }

    #[cold]
    pub fn misfit_message(at: usize, message: String) -> Self {
        Self(Box::new(Trouble::Misfit(Finding { at, message })))
    }

    /// The finding, if it is one that costs no more than records; else what ends the request.
    #[cold]
    pub fn into_misfit(self) -> Result<Finding> {
        match *self.0 {
            Trouble::Misfit(finding) => Ok(finding),
            _ => Err(self),
        }
    }
}

impl From<Excess> for Fault {
    fn from(excess: Excess) -> Self {
        Self(Box::new(Trouble::Limit(excess)))
    }
}
