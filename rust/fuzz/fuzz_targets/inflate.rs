//! Any bytes as a compressed body: no crash, and never more than the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otlp2parquet_inflate::{ContentEncoding, Error, inflate};

const ENCODINGS: [ContentEncoding; 3] =
    [ContentEncoding::Gzip, ContentEncoding::Deflate, ContentEncoding::Zstd];

fuzz_target!(|data: &[u8]| {
    // The first byte chooses the encoding and the limit.
    let Some((&choice, payload)) = data.split_first() else { return };
    let encoding = ENCODINGS[usize::from(choice % 3)];
    let limit = 1_usize << (choice / 3 % 21);
    match inflate(payload, encoding, limit) {
        Ok(content) => {
            assert!(content.len() <= limit);
            let size = content.len();
            // Exactly that much fits, and a byte less does not.
            assert_eq!(inflate(payload, encoding, size).as_deref(), Ok(&*content));
            if size > 0 {
                assert_eq!(inflate(payload, encoding, size - 1), Err(Error::TooLarge));
            }
        }
        Err(Error::TooLarge) => {
            assert_ne!(inflate(payload, encoding, 0), Ok(std::borrow::Cow::Borrowed(&[][..])));
        }
        Err(Error::Broken(why)) => assert!(why.starts_with("found ")),
    }
});
