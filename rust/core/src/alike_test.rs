//! Records that take a short cut because they are like those before them give what they give alone.
//!
//! A metric's points are appended in runs of what they have alike, and attributes of the usual form
//! while their record is read. Every order of a few kinds is tried: what stands together in one
//! request is compared with the same records of which each stands apart.

use crate::builder::BatchBuilder;
use crate::columns::TableBatch;
use crate::limits::Limits;
use crate::schema::Strings;
use crate::signal::Signal;
use crate::test_support::field;

/// All sequences of `len` of the items.
fn sequences<T: Copy>(items: &[T], len: usize) -> Vec<Vec<T>> {
    let mut all = vec![Vec::new()];
    for _ in 0..len {
        all = all
            .iter()
            .flat_map(|one| items.iter().map(|&item| [&one[..], &[item]].concat()))
            .collect();
    }
    all
}

/// The request whose scope has these records.
fn request(records: &[Vec<u8>]) -> Vec<u8> {
    let scope: Vec<u8> = records.iter().flat_map(|record| field(2, record)).collect();
    field(1, &field(2, &scope))
}

fn fixed64(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// What was appended of requests, one after another; how many records were accepted and rejected,
/// and how many parts of text were replaced.
fn batches(signal: Signal, requests: &[Vec<u8>]) -> (Vec<TableBatch>, [usize; 3]) {
    let mut builder = BatchBuilder::new(Limits::default());
    let mut counts = [0; 3];
    for request in requests {
        let appended = builder.append(request, signal, 7_000).unwrap();
        counts[0] += appended.accepted;
        counts[1] += appended.rejected;
        counts[2] += appended.notes.replaced_text as usize;
    }
    (builder.finish(Strings::Plain).unwrap(), counts)
}

#[track_caller]
fn assert_alike(signal: Signal, together: Vec<u8>, apart: &[Vec<u8>], what: &dyn std::fmt::Debug) {
    let (found, counts) = batches(signal, &[together]);
    let (expected, expected_counts) = batches(signal, apart);
    assert_eq!(counts, expected_counts, "{what:?}");
    assert_eq!(found.len(), expected.len(), "{what:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.record_batch().unwrap(), expected.record_batch().unwrap(), "{what:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Point {
    /// Of a time and a start.
    Of(u64, u64),
    Flagged,
    WithExemplar,
    WithLabels,
    /// With an attribute that is too deep, behind one that is not.
    Rejected,
}

const POINTS: [Point; 7] = [
    Point::Of(0, 0),
    Point::Of(5_000, 0),
    Point::Of(5_000, 4_000),
    Point::Flagged,
    Point::WithExemplar,
    Point::WithLabels,
    Point::Rejected,
];

fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

/// An AnyValue of an array in an array, and so on.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(field(1, b"x"), |value, _| field(5, &field(1, &value)))
}

impl Point {
    fn bytes(self) -> Vec<u8> {
        let base = |start, time| [fixed64(2, start), fixed64(3, time), fixed64(6, 9)].concat();
        let named = field(7, &attribute("a", &field(1, b"text")));
        let more = match self {
            Self::Of(time, start) => base(start, time),
            Self::Flagged => [base(0, 5_000), vec![8 << 3, 1]].concat(),
            Self::WithExemplar => [base(0, 5_000), field(5, &fixed64(2, 3))].concat(),
            Self::WithLabels => [base(0, 5_000), field(1, b"")].concat(),
            Self::Rejected => [base(0, 5_000), field(7, &attribute("deep", &nested(99)))].concat(),
        };
        [named, more].concat()
    }
}

/// A metric with these points; `sum` says which of the two kinds of number points.
fn metric(points: &[Point], sum: bool) -> Vec<u8> {
    let mut data: Vec<u8> = points.iter().flat_map(|point| field(1, &point.bytes())).collect();
    if sum {
        data.extend([2 << 3, 2, 3 << 3, 1]);
    }
    [field(1, b"name"), field(if sum { 7 } else { 5 }, &data)].concat()
}

#[test]
fn points_of_a_metric_are_as_points_of_a_metric_each() {
    for len in 1..=4 {
        for points in sequences(&POINTS, len) {
            let together = request(&[metric(&points, len % 2 == 0)]);
            let apart: Vec<Vec<u8>> =
                points.iter().map(|&point| request(&[metric(&[point], len % 2 == 0)])).collect();
            assert_alike(Signal::Metrics, together, &apart, &points);
        }
    }
}

#[test]
fn metrics_that_say_the_same_again_are_as_metrics_of_a_request_each() {
    let named = |fields: &[(u8, &[u8])], sum: bool| {
        let fields = fields.iter().flat_map(|&(number, content)| field(number, content));
        [fields.collect(), metric(&[Point::Of(5_000, 0)], sum)].concat()
    };
    let other_name = field(1, b"other");
    let deep = field(12, &attribute("deep", &nested(99)));
    let metrics: Vec<Vec<u8>> = [false, true]
        .into_iter()
        .flat_map(|sum| {
            [
                named(&[], sum),
                [named(&[(2, b"says"), (3, b"ms")], sum), other_name.clone()].concat(),
                named(&[(2, b"says")], sum),
                named(&[(2, b"\xff"), (3, b"ms")], sum),
                named(&[(2, b"says"), (12, &attribute("m", &field(1, b"x")))], sum),
                [named(&[(3, b"ms")], sum), deep.clone()].concat(),
            ]
        })
        .collect();
    let numbers: Vec<usize> = (0..metrics.len()).collect();
    for order in sequences(&numbers, 3) {
        let metrics: Vec<Vec<u8>> = order.iter().map(|&at| metrics[at].clone()).collect();
        let apart: Vec<Vec<u8>> =
            metrics.iter().map(|metric| request(std::slice::from_ref(metric))).collect();
        assert_alike(Signal::Metrics, request(&metrics), &apart, &order);
    }
}

/// The values of attributes, and whether the attribute is written in the usual order.
fn attributes() -> Vec<(Vec<u8>, &'static str)> {
    let varint = |bytes: &[u8]| [&[3 << 3], bytes].concat();
    let texts = [vec![b'x'; 30], vec![b'x'; 40], vec![b'x'; 140], b"a\"b".to_vec(), vec![0xff]];
    let long_key = "k".repeat(40);
    let mut all: Vec<(Vec<u8>, &'static str)> = texts
        .iter()
        .map(|text| (attribute("text", &field(1, text)), "text"))
        .chain([
            (attribute("int", &varint(&[100])), "100"),
            (attribute("int", &varint(&[0xff, 0x4d])), "9983"),
            (attribute("int", &varint(&[0xff, 0x7f])), "16383"),
            (attribute("double", &[&[4 << 3 | 1][..], &1.5_f64.to_le_bytes()].concat()), "1.5"),
            (attribute("bool", &[2 << 3, 1]), "true"),
            (attribute("array", &nested(1)), "[\"x\"]"),
            (attribute("nothing", &[]), "null"),
            (attribute(&long_key, &field(1, b"x")), "long key"),
            (attribute("k\"", &field(1, b"x")), "quoted key"),
            (field(1, b"alone"), "alone"),
            (Vec::new(), "empty"),
        ])
        .collect();
    // The value before the key.
    all.push(([field(2, &field(1, b"x")), field(1, b"k")].concat(), "turned"));
    all
}

/// The attributes' text of the single row that a request of one log record gives.
fn attributes_text(attributes: &[&[u8]], tail: usize) -> String {
    use arrow_array::Array;

    let mut record: Vec<u8> = attributes.iter().flat_map(|pair| field(6, pair)).collect();
    record.extend(fixed64(1, 5_000));
    let mut payload = request(&[record]);
    // So far behind it the payload ends: blocks are read beyond an attribute where there is room.
    payload.extend(field(100, &vec![0; tail]));
    let (found, counts) = batches(Signal::Logs, &[payload]);
    assert_eq!(counts[..2], [1, 0]);
    let batch = found[0].record_batch().unwrap();
    let column = batch.column_by_name("LogAttributes").expect("the column");
    let texts = column.as_any().downcast_ref::<arrow_array::StringArray>().expect("text");
    assert_eq!(texts.len(), 1);
    texts.value(0).to_owned()
}

#[test]
fn attributes_are_spelled_as_each_alone_whatever_stands_beside_them() {
    let all = attributes();
    let alone: Vec<String> = all
        .iter()
        .map(|(pair, _)| {
            let text = attributes_text(&[pair], 0);
            text[1..text.len() - 1].to_owned()
        })
        .collect();
    let numbers: Vec<usize> = (0..all.len()).collect();
    for tail in [0, 70, 200] {
        for order in sequences(&numbers, 3) {
            let pairs: Vec<&[u8]> = order.iter().map(|&at| &all[at].0[..]).collect();
            let expected: Vec<&str> = order.iter().map(|&at| &alone[at][..]).collect();
            let names: Vec<&str> = order.iter().map(|&at| all[at].1).collect();
            let expected = format!("{{{}}}", expected.join(","));
            assert_eq!(attributes_text(&pairs, tail), expected, "{names:?}, {tail}");
        }
    }
}

#[test]
fn a_record_has_as_many_attributes_as_the_limit_whatever_their_form() {
    let usual = attribute("a", &field(1, b"x"));
    let other = attribute("a", &nested(1));
    let limit = Limits::default().attributes;
    for others in [0, 1, limit / 2, limit, limit + 1] {
        for count in [limit - 1, limit, limit + 1, 2 * limit] {
            let record: Vec<u8> = (0..count)
                .flat_map(|at| field(6, if at < others { &other } else { &usual }))
                .collect();
            let (found, counts) = batches(Signal::Logs, &[request(&[record])]);
            let fits = usize::from(count <= limit);
            assert_eq!((counts, found.len()), ([fits, 1 - fits, 0], fits), "{others} of {count}");
        }
    }
}

#[test]
fn an_attribute_ends_within_its_record() {
    let pair = attribute("k", &field(1, b"text"));
    let record = |len: usize| {
        let mut record = fixed64(1, 5_000);
        record.extend(field(6, &pair));
        record.extend([6 << 3 | 2, len as u8]);
        record.extend(&pair);
        record
    };
    let append = |record: Vec<u8>| {
        let tail = [fixed64(1, 5_000), field(6, &pair)].concat();
        let payload = request(&[record, tail.clone(), tail.repeat(9)]);
        BatchBuilder::new(Limits::default()).append(&payload, Signal::Logs, 1).map(|it| it.accepted)
    };
    assert_eq!(append(record(pair.len())), Ok(3));
    // Behind the record's end the payload goes on, as if the attribute did.
    for beyond in 1..40 {
        assert!(append(record(pair.len() + beyond)).is_err(), "{beyond}");
    }
    // It would be whole with the first byte behind the record, which is the tag of the next one.
    let mut number = record(pair.len());
    number.extend(field(6, &attribute("k", &[3 << 3, 2 << 3 | 2])));
    assert_eq!(append(number.clone()), Ok(3));
    number.pop();
    assert!(append(number).is_err());
    // The tag is the record's last byte.
    let mut cut = record(pair.len());
    cut.push(6 << 3 | 2);
    assert!(append(cut).is_err());
}
