//! What a request costs, counted: memory at its highest, and allocations and bytes asked for in all.
//!
//! The allocator is the meter: what a request holds has been asked for, and what is copied from one
//! place to another has been asked for once more, so work that grows faster than the request shows
//! here without a clock. (Loops that allocate nothing do not; `tests/hostile` times those.)

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use otlp2parquet_core::{BatchBuilder, Limits, Strings};

use crate::{any_input, append};

/// The system's allocator, counting.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    ASKED.fetch_add(bytes, Relaxed);
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is the system allocator's, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A block that is moved exists twice.
        count(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What something cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Bytes held at the highest, above those held before.
    pub peak: usize,
    /// Bytes asked for in all.
    pub asked: usize,
    /// Allocations.
    pub calls: usize,
}

/// Runs `f` and counts.
pub fn cost_of<T>(f: impl FnOnce() -> T) -> (T, Cost) {
    let (live, asked, calls) = (LIVE.load(Relaxed), ASKED.load(Relaxed), CALLS.load(Relaxed));
    PEAK.store(live, Relaxed);
    let value = f();
    let cost = Cost {
        peak: PEAK.load(Relaxed).saturating_sub(live),
        asked: ASKED.load(Relaxed) - asked,
        calls: CALLS.load(Relaxed) - calls,
    };
    (value, cost)
}

/// Of a request as plain tables: bytes of memory for each of its own, and for any request. The
/// limits allow six and 128 MiB; here they allow this much, so that small inputs meet them: twice
/// what the worst of six million inputs took beside six times its size.
const MEMORY: (usize, usize) = (6, 64 << 10);
/// Bytes asked for in all, of those of `MEMORY`: buffers that double are asked for twice, an
/// accountant that is not asked before shows as more.
const ASKED_TIMES: usize = 4;
/// Allocations for each byte, for any request, and for each batch that it makes.
const CALLS_OF: (usize, usize, usize) = (1, 256, 64);

/// The highest costs met by this process, told when there is a higher one and somebody asks
/// (`OTLP2PARQUET_COSTS=1`): what the constants above are measured by.
static WORST: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// A record of each table in protobuf, and an empty request in JSON, each with its signal's number.
const ONE_OF_EACH: [&[u8]; 8] = [
    b"\x00\x0a\x04\x12\x02\x12\x00",
    b"\x01\x0a\x04\x12\x02\x12\x00",
    b"\x02\x0a\x08\x12\x06\x12\x04\x2a\x02\x0a\x00",
    b"\x02\x0a\x08\x12\x06\x12\x04\x3a\x02\x0a\x00",
    b"\x02\x0a\x08\x12\x06\x12\x04\x4a\x02\x0a\x00",
    b"\x02\x0a\x08\x12\x06\x12\x04\x52\x02\x0a\x00",
    b"\x02\x0a\x08\x12\x06\x12\x04\x5a\x02\x0a\x00",
    b"\x81{}",
];

/// What a process makes once (schemas, tables of names) is no request's cost.
fn warm() {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        for input in ONE_OF_EACH.iter().filter_map(|data| any_input(data)) {
            let mut builder = BatchBuilder::new(Limits::default());
            append(&mut builder, &input).expect("is a request");
            let batches = builder.finish(Strings::Plain).expect("fits");
            batches.iter().for_each(|batch| drop(batch.record_batch()));
        }
    });
}

fn tell_worst(number: usize, what: &str, found: usize, bytes: usize, cost: Cost) {
    if WORST[number].fetch_max(found, Relaxed) < found
        && std::env::var_os("OTLP2PARQUET_COSTS").is_some()
    {
        eprintln!("{what}: {found} of {bytes} bytes: {cost:?}");
    }
}

/// Reads an input into a builder, finishes, and holds the cost against its size.
///
/// # Panics
/// The input costs more.
pub fn check(data: &[u8]) {
    let Some(input) = any_input(data) else { return };
    warm();
    let bytes = input.payload.len();
    let memory = MEMORY.0 * bytes + MEMORY.1;
    let limits = Limits { memory_bytes: Some(memory), repeated_bytes: None, ..Limits::default() };
    let mut builder = BatchBuilder::new(limits);
    let (refused, appending) = cost_of(|| append(&mut builder, &input).is_err());
    // An eighth beside the limit is what the core leaves to the allocator, and columns that expect
    // text make room for it before there is any.
    let most = memory + memory / 8 + MEMORY.1;
    let (batches, finishing) = cost_of(|| {
        let batches = builder.finish(Strings::Plain).unwrap_or_default();
        batches.iter().filter_map(|batch| batch.record_batch().ok()).collect::<Vec<_>>()
    });
    assert!(!refused || batches.is_empty());
    for cost in [appending, finishing] {
        tell_worst(0, "peak", cost.peak.saturating_sub(MEMORY.0 * bytes), bytes, cost);
        tell_worst(1, "asked, hundredths of the bound", cost.asked * 100 / most, bytes, cost);
        assert!(cost.peak <= most, "{bytes} bytes: {cost:?}");
        assert!(cost.asked <= ASKED_TIMES * most, "{bytes} bytes: {cost:?}");
    }
    let groups: usize = batches.len();
    let calls = appending.calls + finishing.calls;
    let both = Cost { calls, ..appending };
    tell_worst(2, "calls", calls.saturating_sub(CALLS_OF.0 * bytes), groups, both);
    let most = CALLS_OF.0 * bytes + CALLS_OF.1 + groups * CALLS_OF.2;
    assert!(calls <= most, "{bytes} bytes, {groups} batches: {calls} allocations");
}
