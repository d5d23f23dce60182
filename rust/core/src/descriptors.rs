//! What is said of a message and its fields, and how a line of the table (`fields.rs`) says it.

use crate::fields::{LOGS_REQUEST, METRICS_REQUEST, TRACES_REQUEST};

/// How the value of a field is read and written.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Texts,
    /// A list of which only the length counts: what OTLP had before attributes.
    Labels,
    /// Base64 in JSON.
    Bytes,
    /// Hex in JSON; the number of bytes that such an id has, by which base64 is told from hex.
    Id(usize),
    Bool,
    Double,
    /// Packed.
    Doubles,
    /// A signed varint; 64 bits.
    Int64,
    /// A signed varint; 32 bits.
    Int32,
    /// A zigzag varint; 32 bits.
    Sint32,
    /// A varint; 32 bits.
    Uint32,
    /// Packed varints; 64 bits.
    Uint64s,
    Fixed32,
    Fixed64,
    /// Packed.
    Fixed64s,
    Sfixed64,
    /// The names of the numbers from 0 on.
    Enum(&'static [&'static str]),
    Message(&'static Descriptor),
    Messages(&'static Descriptor),
    /// Records: a bad one is left out alone.
    Records(&'static Descriptor),
    /// Resources, scopes or metrics: with a bad one go the records below it.
    Groups(&'static Descriptor),
    /// A message of OTLP 0.8, which is gone into in JSON alone: protobuf has an unknown field there.
    Old(&'static Descriptor),
}

/// The wire type of a kind.
macro_rules! wire {
    (Bool) => {
        VARINT
    };
    (Int64) => {
        VARINT
    };
    (Int32) => {
        VARINT
    };
    (Sint32) => {
        VARINT
    };
    (Uint32) => {
        VARINT
    };
    (Enum) => {
        VARINT
    };
    (Fixed32) => {
        FIXED32
    };
    (Fixed64) => {
        FIXED64
    };
    (Sfixed64) => {
        FIXED64
    };
    (Double) => {
        FIXED64
    };
    // Text, bytes, messages, and lists of numbers, which are packed.
    ($other:ident) => {
        LEN
    };
}

/// A message's fields.
pub(crate) struct Descriptor {
    pub fields: &'static [Field],
    /// An array or key-value list: one level of nesting.
    pub nests: bool,
    /// Bytes that the transcoder sets aside for the length; a message that needs more is moved.
    pub length_bytes: usize,
}

pub(crate) struct Field {
    /// The JSON key, with its quotes.
    pub quoted: &'static [u8],
    /// The name in protobuf.
    pub snake: &'static str,
    pub tag: u32,
    pub kind: Kind,
    /// Names the field among those of its message.
    pub bit: u32,
    /// The bits that this one takes the place of: its own, or those of all members of its `oneof`.
    pub displaces: u32,
    /// The quoted key in words, and which bits of those it has.
    words: [u64; KEY_WORDS],
    masks: [u64; KEY_WORDS],
}

/// No quoted key of today takes more words of eight bytes.
pub(crate) const KEY_WORDS: usize = 3;

impl Field {
    /// Whether the text that begins with these bytes begins with the quoted key.
    #[inline(always)]
    pub fn begins(&self, text: [u64; KEY_WORDS]) -> bool {
        let differs = |i: usize| text[i] & self.masks[i] ^ self.words[i];
        // Keys differ in their first word as a rule.
        differs(0) == 0 && differs(1) | differs(2) == 0
    }

    /// The key in lowerCamelCase.
    pub fn name(&self) -> &'static str {
        std::str::from_utf8(&self.quoted[1..self.quoted.len() - 1]).unwrap_or_default()
    }
}

impl Descriptor {
    /// Whether it is an export request.
    pub fn is_request(&self) -> bool {
        [&LOGS_REQUEST, &TRACES_REQUEST, &METRICS_REQUEST]
            .iter()
            .any(|other| std::ptr::eq(self, *other))
    }

    /// The field of a JSON key that was read out of its quotes.
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        // What a scope, and a scope's log records, were called before 2022.
        let key: &[u8] = match key {
            b"instrumentationLibrary" | b"instrumentation_library" => b"scope",
            b"logs" => b"logRecords",
            key => key,
        };
        let is_it = |field: &Field| field.name().as_bytes() == key || field.snake.as_bytes() == key;
        self.fields.iter().position(is_it)
    }

    /// The field of a tag.
    pub fn field(&self, tag: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.tag == tag)
    }
}

/// What a reader matches.
pub(crate) const fn tag(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

/// The field at a place in its message, of whose `oneof` these are the members.
pub(crate) const fn field(
    index: usize,
    quoted: &'static str,
    snake: &'static str,
    tag: u32,
    kind: Kind,
    oneof: u32,
) -> Field {
    let bytes = quoted.as_bytes();
    let (mut words, mut masks, mut i) = ([0_u64; KEY_WORDS], [0_u64; KEY_WORDS], 0);
    if bytes.len() > 8 * KEY_WORDS {
        // Longer than what is looked at: found by its name, never at first sight.
        words[0] = 1;
        i = bytes.len();
    }
    while i < bytes.len() {
        words[i / 8] |= (bytes[i] as u64) << (8 * (i % 8));
        masks[i / 8] |= 0xff << (8 * (i % 8));
        i += 1;
    }
    // Whoever is no member of the `oneof` takes the place of itself alone.
    let displaces = if oneof >> index & 1 == 1 { oneof } else { 1 << index };
    Field { quoted: bytes, snake, tag, kind, bit: 1 << index, displaces, words, masks }
}

/// The place of a field among those of its message.
pub(crate) const fn index_of(names: &[&str], name: &str) -> usize {
    let mut i = 0;
    while i < names.len() {
        if same(names[i], name) {
            return i;
        }
        i += 1;
    }
    panic!("a field of this message")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A message: the module of its tags, how many bytes its length takes, whether it nests, the members
/// of its `oneof` as bits of their places, and its fields. Messages of one shape share a module: the
/// others are `like` it, and the compiler compares their numbers.
macro_rules! message {
    ($name:ident in $module:ident, $length_bytes:literal $(, nests $nests:literal)?
        $(, oneof $oneof:literal)?, {
            $($tag:ident = $number:literal $camel:literal $snake:literal
                $kind:ident $(($($of:tt)*))?),* $(,)?
        } $(, unpacked { $($other:ident = $other_number:literal $other_wire:ident),* $(,)? })?
    ) => {
        /// The tags of this message.
        #[allow(dead_code, unused_imports)]
        pub(crate) mod $module {
            use crate::descriptors::wire;
            use crate::wire::{FIXED32, FIXED64, LEN, VARINT};
            $(pub(crate) const $tag: u32 = crate::descriptors::tag($number, wire!($kind));)*
            $($(pub(crate) const $other: u32 = crate::descriptors::tag($other_number, $other_wire);)*)?
        }
        message!($name like $module, $length_bytes $(, nests $nests)? $(, oneof $oneof)?, {
            $($tag = $number $camel $snake $kind $(($($of)*))?),*
        });
    };
    ($name:ident like $module:ident, $length_bytes:literal $(, nests $nests:literal)?
        $(, oneof $oneof:literal)?, {
            $($tag:ident = $number:literal $camel:literal $snake:literal
                $kind:ident $(($($of:tt)*))?),* $(,)?
        }
    ) => {
        $(const _: () = assert!($module::$tag == tag($number, wire!($kind)));)*
        pub(crate) static $name: Descriptor = Descriptor {
            fields: {
                const NAMES: &[&str] = &[$($camel),*];
                const ONEOF: u32 = 0 $(| $oneof)?;
                &[$(field(
                    index_of(NAMES, $camel),
                    concat!("\"", $camel, "\""),
                    $snake,
                    $module::$tag,
                    Kind::$kind $(($($of)*))?,
                    ONEOF,
                )),*]
            },
            nests: false $(| $nests)?,
            length_bytes: $length_bytes,
        };
    };
}

pub(crate) use {message, wire};
