//! How often a small request allocates: what `DESIGN.md` says of it is counted here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use otlp2parquet_core::{BatchBuilder, Limits, Signal, Strings};

mod support;
use support::field;

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn fixed64(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn attribute(number: u8, key: &str, text: &str) -> Vec<u8> {
    field(number, &[field(1, key.as_bytes()), field(2, &field(1, text.as_bytes()))].concat())
}

/// A request of one resource and scope, and of ten records.
fn request(records: &[u8]) -> Vec<u8> {
    let resource = [attribute(1, "service.name", "checkout"), attribute(1, "host.name", "a")];
    let scope = [field(1, b"example.instrumentation"), field(2, b"1.0.0")];
    let records = [field(1, &scope.concat()), records.repeat(10)].concat();
    field(1, &[field(1, &resource.concat()), field(2, &records)].concat())
}

const TIME: u64 = 1_700_000_000_000_000_000;

fn log_record() -> Vec<u8> {
    let text = field(5, &field(1, b"GET /cart took 12 ms"));
    let ids = [field(9, &[7; 16]), field(10, &[8; 8])].concat();
    let attributes = [attribute(6, "http.method", "GET"), attribute(6, "http.route", "/cart")];
    let severity = [&[0x10, 9][..], &field(3, b"INFO")].concat();
    field(2, &[fixed64(1, TIME), severity, text, attributes.concat(), ids].concat())
}

fn span() -> Vec<u8> {
    let ids = [field(1, &[7; 16]), field(2, &[8; 8]), field(4, &[9; 8])].concat();
    let event = field(11, &[fixed64(1, TIME), field(2, b"exception")].concat());
    let times = [&[0x30, 2][..], &fixed64(7, TIME), &fixed64(8, TIME + 9_000)].concat();
    let attributes = [attribute(9, "http.method", "GET"), attribute(9, "http.route", "/cart")];
    field(2, &[ids, field(5, b"GET /cart"), times, attributes.concat(), event].concat())
}

fn sum_point() -> Vec<u8> {
    let times = [fixed64(2, TIME), fixed64(3, TIME + 9_000)].concat();
    let attributes = [attribute(7, "http.method", "GET"), attribute(7, "http.route", "/cart")];
    field(1, &[times, fixed64(6, 42), attributes.concat()].concat())
}

/// Allocations of an append with its finish, and of the record batches that come of it.
fn allocations(builder: &mut BatchBuilder, payload: &[u8], signal: Signal) -> (usize, usize) {
    let before = CALLS.get();
    assert_eq!(builder.append(payload, signal, 1).unwrap().accepted, 10);
    let batches = builder.finish(Strings::Plain).unwrap();
    let decoded = CALLS.get() - before;
    let before = CALLS.get();
    let batches: Vec<_> = batches.iter().map(|batch| batch.record_batch().unwrap()).collect();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10);
    (decoded, CALLS.get() - before)
}

/// As DESIGN.md says: so many at most for the decode of ten records with a used builder. (A fresh
/// one makes its columns first, and the arrays, which say what lies where, are made with the record
/// batch.)
const MOST_DECODING: usize = 12;

#[test]
fn ten_records_take_a_dozen_allocations_of_a_used_builder() {
    let metric = |data: &[u8]| field(2, &[field(1, b"requests"), field(7, data)].concat());
    let requests = [
        (Signal::Logs, request(&log_record())),
        (Signal::Traces, request(&span())),
        (Signal::Metrics, {
            let scope = field(2, &metric(&sum_point().repeat(10)));
            field(1, &[field(1, &attribute(1, "service.name", "checkout")), scope].concat())
        }),
    ];
    for (signal, payload) in requests {
        let mut builder = BatchBuilder::new(Limits::default());
        let first = allocations(&mut builder, &payload, signal);
        for _ in 0..3 {
            let (decoding, arrays) = allocations(&mut builder, &payload, signal);
            println!("{signal:?}: first {first:?}, then {decoding} and {arrays} for arrays");
            assert!(decoding <= MOST_DECODING, "{signal:?}: {decoding} allocations");
        }
    }
}
