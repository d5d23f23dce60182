//! Requests one after another into one builder: what was refused or left out left no trace.
//!
//! A second builder is given only those that the first one took. Both then hold the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otlp2parquet_core::{BatchBuilder, Strings};
use otlp2parquet_fuzz::{any_input, append, finish, limits};

/// Stands between requests.
const SEPARATOR: &[u8] = b"\xfe\xfd\xfc";

fuzz_target!(|data: &[u8]| {
    let mut builder = BatchBuilder::new(limits());
    let mut fresh = BatchBuilder::new(limits());
    for (number, part) in split(data).into_iter().enumerate() {
        let Some(input) = any_input(part) else { continue };
        let before = (builder.num_rows(), builder.num_bytes(), builder.num_groups());
        match append(&mut builder, &input) {
            Ok(appended) => assert_eq!(append(&mut fresh, &input), Ok(appended)),
            Err(_) => {
                let after = (builder.num_rows(), builder.num_bytes(), builder.num_groups());
                assert_eq!(before, after);
            }
        }
        if number % 7 == 6 {
            compare(&mut builder, &mut fresh, Strings::Dictionary);
        }
    }
    assert_eq!(builder.num_rows(), fresh.num_rows());
    assert_eq!(builder.num_groups(), fresh.num_groups());
    compare(&mut builder, &mut fresh, Strings::Plain);
});

fn compare(builder: &mut BatchBuilder, fresh: &mut BatchBuilder, strings: Strings) {
    let (found, expected) = (finish(builder, strings), finish(fresh, strings));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(
            (found.table, &found.service, found.hour),
            (expected.table, &expected.service, expected.hour)
        );
        assert_eq!(found.record_batch().ok(), expected.record_batch().ok());
        assert!(found.record_batch().is_ok());
    }
}

fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = data.windows(SEPARATOR.len()).position(|found| found == SEPARATOR) {
        parts.push(&data[..at]);
        data = &data[at + SEPARATOR.len()..];
    }
    parts.push(data);
    parts
}
