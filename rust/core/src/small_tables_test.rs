//! A small table's way to Arrow (`columns/small.rs`) and that of all others give the same batches,
//! and a builder that has been used gives what a fresh one does.
//!
//! Requests are drawn: every field of every table is absent throughout, zero throughout, alike
//! throughout or mixed, so that columns of nulls, of zeros, of one value and of any occur together.

use crate::builder::BatchBuilder;
use crate::columns::TableBatch;
use crate::limits::Limits;
use crate::schema::Strings;
use crate::signal::Signal;

/// Requests that are drawn.
const REQUESTS: u64 = 450;

/// Draws numbers, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Writes the fields of a message.
type Write = fn(&mut Draft, &mut Vec<u8>);

/// What a field's values are like throughout a request.
#[derive(Clone, Copy)]
enum Pattern {
    Absent,
    Zero,
    Alike,
    Mixed,
}

/// One request while it is drawn.
struct Draft {
    dice: Dice,
    /// Of each field of the record being drawn, by the order in which they are asked for.
    patterns: Vec<Pattern>,
    next: usize,
    /// The hour that records are in now: it only grows, so that hours are together.
    hour: u64,
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn len_field(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

const HOUR: u64 = 3_600_000_000_000;

impl Draft {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        let all = [Pattern::Absent, Pattern::Zero, Pattern::Alike, Pattern::Mixed];
        // At times a request is of one pattern.
        let patterns = match dice.below(6) {
            0 => vec![dice.pick(&all); 64],
            _ => (0..64).map(|_| dice.pick(&all)).collect(),
        };
        Self { dice, patterns, next: 0, hour: 0 }
    }

    /// Which of a field's values comes next: none, the zero, the usual one, or a rare one.
    fn choose(&mut self) -> Option<usize> {
        let pattern = self.patterns[self.next % self.patterns.len()];
        self.next += 1;
        match pattern {
            Pattern::Absent => None,
            Pattern::Zero => Some(0),
            Pattern::Alike => Some(1),
            Pattern::Mixed => self.dice.below(5).checked_sub(1),
        }
    }

    fn number(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            varint(out, number << 3);
            varint(out, [0, 1, 2, u64::from(u32::MAX)][choice]);
        }
    }

    fn fixed32(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            varint(out, number << 3 | 5);
            out.extend_from_slice(&[0_u32, 1, 0x100, u32::MAX][choice].to_le_bytes());
        }
    }

    fn fixed64(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            varint(out, number << 3 | 1);
            out.extend_from_slice(&[0_u64, 5, 6, 1 << 40][choice].to_le_bytes());
        }
    }

    fn double(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            varint(out, number << 3 | 1);
            out.extend_from_slice(&[0.0, 1.5, -0.0, f64::NAN][choice].to_le_bytes());
        }
    }

    fn time(&mut self, out: &mut Vec<u8>, number: u64) {
        varint(out, number << 3 | 1);
        self.hour += u64::from(self.dice.below(12) == 0);
        let nanos = self.dice.pick(&[0, 1, 999, 1_000_001]);
        out.extend_from_slice(&((1 + self.hour) * HOUR + nanos).to_le_bytes());
    }

    fn text(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            let texts =
                [&b""[..], b"as usual", b"\xff or \"", b"a text of more than sixteen bytes"];
            len_field(out, number, texts[choice]);
        }
    }

    fn id(&mut self, out: &mut Vec<u8>, number: u64, len: usize) {
        if let Some(choice) = self.choose() {
            let id = [[0; 16], [7; 16], [0xab; 16], [1; 16]][choice];
            len_field(out, number, if choice == 3 { b"odd" } else { &id[..len] });
        }
    }

    fn packed64(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            let items: &[u64] = [&[][..], &[0, 0], &[1, 1 << 52], &[3]][choice];
            let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
            len_field(out, number, &bytes);
        }
    }

    fn attributes(&mut self, out: &mut Vec<u8>, number: u64) {
        let values: [&[u8]; 4] = [b"", b"\x0a\x01v", b"\x18\x2a", b"\x2a\x04\x0a\x02\x10\x01"];
        for _ in 0..self.choose().unwrap_or(0) {
            let mut pair = Vec::new();
            len_field(&mut pair, 1, self.dice.pick(&[&b"key"[..], b"a.longer.key"]));
            len_field(&mut pair, 2, self.dice.pick(&values));
            len_field(out, number, &pair);
        }
    }

    fn body(&mut self, out: &mut Vec<u8>, number: u64) {
        if let Some(choice) = self.choose() {
            let values: [&[u8]; 4] =
                [b"", b"\x0a\x04text", b"\x0a\x00", b"\x32\x07\x0a\x05\x0a\x01k\x12\x00"];
            len_field(out, number, values[choice]);
        }
    }

    /// A list of messages; fields of its items have the patterns of those that come there.
    fn list(&mut self, out: &mut Vec<u8>, number: u64, item: Write) {
        let count = self.choose().unwrap_or(0);
        let first = self.next;
        for _ in 0..count {
            self.next = first;
            self.message(out, number, item);
        }
        self.next = first + 8;
    }

    fn message(&mut self, out: &mut Vec<u8>, number: u64, write: Write) {
        let mut content = Vec::new();
        write(self, &mut content);
        len_field(out, number, &content);
    }

    fn log_record(&mut self, out: &mut Vec<u8>) {
        self.time(out, 1);
        self.fixed64(out, 11);
        self.number(out, 2);
        self.text(out, 3);
        self.body(out, 5);
        self.attributes(out, 6);
        self.number(out, 7);
        self.fixed32(out, 8);
        self.id(out, 9, 16);
        self.id(out, 10, 8);
        self.text(out, 12);
    }

    fn event(&mut self, out: &mut Vec<u8>) {
        self.fixed64(out, 1);
        self.text(out, 2);
        self.attributes(out, 3);
        self.number(out, 4);
    }

    fn link(&mut self, out: &mut Vec<u8>) {
        self.id(out, 1, 16);
        self.id(out, 2, 8);
        self.text(out, 3);
        self.attributes(out, 4);
        self.number(out, 5);
        self.fixed32(out, 6);
    }

    fn status(&mut self, out: &mut Vec<u8>) {
        self.text(out, 2);
        self.number(out, 3);
    }

    fn span(&mut self, out: &mut Vec<u8>) {
        self.id(out, 1, 16);
        self.id(out, 2, 8);
        self.text(out, 3);
        self.id(out, 4, 8);
        self.text(out, 5);
        self.number(out, 6);
        self.time(out, 7);
        self.fixed64(out, 8);
        self.attributes(out, 9);
        self.number(out, 10);
        self.list(out, 11, Self::event);
        self.number(out, 12);
        self.list(out, 13, Self::link);
        self.number(out, 14);
        if self.choose().is_some() {
            self.message(out, 15, Self::status);
        } else {
            self.next += 2;
        }
        self.fixed32(out, 16);
    }

    fn exemplar(&mut self, out: &mut Vec<u8>) {
        self.fixed64(out, 2);
        self.double(out, 3);
        self.id(out, 4, 8);
        self.id(out, 5, 16);
        self.fixed64(out, 6);
        self.attributes(out, 7);
    }

    fn number_point(&mut self, out: &mut Vec<u8>) {
        self.fixed64(out, 2);
        self.time(out, 3);
        self.double(out, 4);
        self.list(out, 5, Self::exemplar);
        self.fixed64(out, 6);
        self.attributes(out, 7);
        self.number(out, 8);
    }

    fn histogram_point(&mut self, out: &mut Vec<u8>) {
        self.fixed64(out, 2);
        self.time(out, 3);
        self.fixed64(out, 4);
        self.double(out, 5);
        self.packed64(out, 6);
        self.packed64(out, 7);
        self.list(out, 8, Self::exemplar);
        self.attributes(out, 9);
        self.number(out, 10);
        self.double(out, 11);
        self.double(out, 12);
    }

    fn buckets(&mut self, out: &mut Vec<u8>) {
        self.number(out, 1);
        self.number(out, 2);
    }

    fn exponential_histogram_point(&mut self, out: &mut Vec<u8>) {
        self.attributes(out, 1);
        self.fixed64(out, 2);
        self.time(out, 3);
        self.fixed64(out, 4);
        self.double(out, 5);
        self.number(out, 6);
        self.fixed64(out, 7);
        for number in [8, 9] {
            match self.choose() {
                Some(_) => self.message(out, number, Self::buckets),
                None => self.next += 2,
            }
        }
        self.number(out, 10);
        self.list(out, 11, Self::exemplar);
        self.double(out, 12);
        self.double(out, 13);
        self.double(out, 14);
    }

    fn quantile(&mut self, out: &mut Vec<u8>) {
        self.double(out, 1);
        self.double(out, 2);
    }

    fn summary_point(&mut self, out: &mut Vec<u8>) {
        self.fixed64(out, 2);
        self.time(out, 3);
        self.fixed64(out, 4);
        self.double(out, 5);
        self.list(out, 6, Self::quantile);
        self.attributes(out, 7);
        self.number(out, 8);
    }

    /// Records with the same patterns, one after another.
    fn records(&mut self, out: &mut Vec<u8>, number: u64, record: Write) {
        let first = self.next;
        for _ in 0..self.dice.pick(&[0, 1, 2, 9, 20]) {
            self.next = first;
            self.message(out, number, record);
        }
        self.next = first + 24;
    }

    fn metric(&mut self, out: &mut Vec<u8>) {
        let kinds: [(u64, Write); 5] = [
            (5, Self::number_point),
            (7, Self::number_point),
            (9, Self::histogram_point),
            (10, Self::exponential_histogram_point),
            (11, Self::summary_point),
        ];
        self.text(out, 1);
        self.text(out, 2);
        self.text(out, 3);
        self.attributes(out, 12);
        let (number, point) = self.dice.pick(&kinds);
        let mut data = Vec::new();
        self.records(&mut data, 1, point);
        self.number(&mut data, 2);
        self.number(&mut data, 3);
        len_field(out, number, &data);
    }

    fn resource(&mut self, out: &mut Vec<u8>, service: usize) {
        if service > 0 {
            let mut pair = Vec::new();
            len_field(&mut pair, 1, b"service.name");
            len_field(&mut pair, 2, &[10, 1, b'0' + service as u8]);
            len_field(out, 1, &pair);
        }
        self.attributes(out, 1);
        self.number(out, 2);
    }

    fn scope(&mut self, out: &mut Vec<u8>) {
        self.text(out, 1);
        self.text(out, 2);
        self.attributes(out, 3);
        self.number(out, 4);
    }

    fn request(&mut self, signal: Signal) -> Vec<u8> {
        let mut request = Vec::new();
        for service in 0..self.dice.pick(&[1, 1, 2, 4]) {
            (self.hour, self.next) = (0, 24);
            let (mut resource_records, mut resource) = (Vec::new(), Vec::new());
            self.resource(&mut resource, service);
            len_field(&mut resource_records, 1, &resource);
            for _ in 0..self.dice.pick(&[1, 1, 2]) {
                let mut scope_records = Vec::new();
                self.message(&mut scope_records, 1, Self::scope);
                self.text(&mut scope_records, 3);
                self.next = 0;
                match signal {
                    Signal::Logs => self.records(&mut scope_records, 2, Self::log_record),
                    Signal::Traces => self.records(&mut scope_records, 2, Self::span),
                    Signal::Metrics => {
                        for _ in 0..self.dice.below(4) {
                            self.next = 0;
                            self.message(&mut scope_records, 2, Self::metric);
                        }
                    }
                }
                len_field(&mut resource_records, 2, &scope_records);
            }
            self.text(&mut resource_records, 3);
            len_field(&mut request, 1, &resource_records);
        }
        request
    }
}

#[track_caller]
fn assert_same(seed: u64, found: &[TableBatch], expected: &[TableBatch]) {
    let whose = |batch: &TableBatch| (batch.table, batch.service.clone(), batch.hour);
    let of = |batches: &[TableBatch]| batches.iter().map(whose).collect::<Vec<_>>();
    assert_eq!(of(found), of(expected), "request {seed}");
    for (found, expected) in found.iter().zip(expected) {
        let (found, expected) = (found.record_batch().unwrap(), expected.record_batch().unwrap());
        let columns = found.columns().iter().zip(expected.columns());
        for ((found_column, expected_column), field) in columns.zip(found.schema().fields()) {
            assert_eq!(found_column, expected_column, "request {seed}: {}", field.name());
        }
        assert_eq!(found.num_rows(), expected.num_rows());
    }
}

#[test]
fn small_tables_used_builders_and_ordinary_tables_give_the_same() {
    let mut used = BatchBuilder::new(Limits::default());
    let (mut small, mut groups) = (0, 0);
    let mut tables = std::collections::BTreeMap::new();
    for seed in 0..REQUESTS {
        let signal = [Signal::Logs, Signal::Traces, Signal::Metrics][seed as usize % 3];
        let mut draft = Draft::new(seed);
        let mut fresh = BatchBuilder::new(Limits::default());
        let mut ordinary = BatchBuilder::new(Limits::default());
        // At times a finish is of two requests.
        for _ in 0..draft.dice.pick(&[1, 1, 1, 2]) {
            let request = draft.request(signal);
            let appended = fresh.append(&request, signal, 1).unwrap();
            assert_eq!(ordinary.append(&request, signal, 1).as_ref(), Ok(&appended));
            assert_eq!(used.append(&request, signal, 1).as_ref(), Ok(&appended));
            assert_eq!(appended.rejected, 0, "{}", appended.message);
        }
        let expected = ordinary.finish_ordinary_tables();
        let found = fresh.finish(Strings::Plain).unwrap();
        assert_same(seed, &found, &expected);
        assert_same(seed, &used.finish(Strings::Plain).unwrap(), &expected);
        for batch in &found {
            if batch.is_small() {
                *tables.entry(batch.table.name()).or_insert(0) += batch.num_rows();
                small += 1;
            }
        }
        groups += found.len();
    }
    // What was drawn is what this is about: small tables of all kinds, of several groups.
    assert!(small > REQUESTS as usize && small * 2 > groups, "{small} of {groups}");
    assert_eq!(tables.len(), 7);
    assert!(tables.values().all(|&rows| rows > 100), "{tables:?}");
}
