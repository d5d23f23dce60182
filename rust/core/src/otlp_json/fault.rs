//! What can be wrong with JSON text: it is no export request at all, or a part of it does not fit.
//!
//! Messages say what was found by its kind and never repeat it: text comes from strangers.

use crate::error::Excess;

/// Something wrong at a byte of the text.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub at: usize,
    what: What,
}

/// What is wrong; put into words only where it is shown, for most findings never are.
#[derive(Debug, Clone)]
enum What {
    Found { found: &'static str, expected: &'static str },
    Message(String),
}

impl Finding {
    /// What was found, and what was expected.
    pub fn message(&self) -> String {
        match &self.what {
            What::Found { found, expected } => format!("found {found}, expected {expected}"),
            What::Message(message) => message.clone(),
        }
    }
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
    pub fn malformed(at: usize, found: &'static str, expected: &'static str) -> Self {
        let what = What::Found { found, expected };
        Self(Box::new(Trouble::Malformed(Finding { at, what })))
    }

    #[cold]
    #[inline(never)]
    pub fn misfit(at: usize, found: &'static str, expected: &'static str) -> Self {
        let what = What::Found { found, expected };
        Self(Box::new(Trouble::Misfit(Finding { at, what })))
    }

    #[cold]
    pub fn misfit_message(at: usize, message: String) -> Self {
        Self(Box::new(Trouble::Misfit(Finding { at, what: What::Message(message) })))
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
