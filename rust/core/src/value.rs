//! AnyValue and attribute lists as JSON text (SCHEMA: "AnyValue as JSON text").

use crate::columns::ByteBuffer;
use crate::columns::{BLOCK, CHUNK, block_at, block_of, copy_plain_block};
use crate::common::Attributes;
use crate::descriptors::{self, ARRAY_VALUE, KEY_VALUE_LIST};
use crate::error::{Excess, Fault, Misfit};
use crate::fields::{any_value, array_value, key_value, key_value_list};
use crate::limits::Limits;
use crate::text;
use crate::wire::{Cursor, Message};

/// What was met and is not stored as it came; for the answer and for the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Invalid UTF-8 parts replaced by U+FFFD.
    pub replaced_text: u64,
    /// Fields that OTLP 1.11 does not define.
    pub unknown_fields: u64,
    /// `Resource.entity_refs` entries (Development).
    pub entity_refs: u64,
    /// `string_value_strindex` and `key_strindex`, which only profiles use.
    pub string_indices: u64,
    /// Resources, scopes and metrics without a single record.
    pub without_records: u64,
}

/// One AnyValue after its `oneof` is decided: the last member set counts.
#[derive(Clone, Default)]
pub(crate) enum Value<'a> {
    #[default]
    Empty,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Message<'a>),
    Kvlist(Message<'a>),
    Bytes(&'a [u8]),
}

/// The kinds as BodyType names them.
pub(crate) const KINDS: [&str; 8] =
    ["string", "bool", "int", "double", "bytes", "array", "kvlist", "empty"];
pub(crate) const STRING_KIND: i32 = 0;

impl Value<'_> {
    /// The number of this kind in `KINDS`.
    pub fn kind(&self) -> i32 {
        match self {
            Self::String(_) => STRING_KIND,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Double(_) => 3,
            Self::Bytes(_) => 4,
            Self::Array(_) => 5,
            Self::Kvlist(_) => 6,
            Self::Empty => 7,
        }
    }
}

/// The memory that a request may take.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All of it.
    pub total: usize,
    /// What is left of it for rows, beside the payload.
    pub rows: usize,
}

/// The state that rendering carries: limits, what was met, and what it has cost.
pub(crate) struct Renderer<'p> {
    pub limits: Limits,
    pub notes: Notes,
    payload: &'p [u8],
    memory: Memory,
    /// Bytes of memory that the request has been charged with; they are never given back, so that
    /// what is rejected counts as well.
    charged: usize,
    /// What is being rendered must not pass this length.
    most_len: usize,
    /// Parts of messages that were given more than once.
    parts: usize,
    /// The first field that OTLP does not know: where it is, and its number.
    pub first_unknown: Option<(usize, u32)>,
}

/// Texts up to this length are rendered without asking what comes of them.
const LONG: usize = 64 << 10;

/// A request may give messages in so many parts more than once each.
const MOST_PARTS: usize = 1_000_000;

impl<'p> Renderer<'p> {
    pub fn new(limits: Limits, payload: &'p [u8], memory: Memory) -> Self {
        let notes = Notes::default();
        Self {
            limits,
            notes,
            payload,
            memory,
            charged: 0,
            most_len: 0,
            parts: 0,
            first_unknown: None,
        }
    }

    /// Counts bytes of memory that the request takes.
    #[inline(always)]
    pub fn charge(&mut self, bytes: usize) -> Result<(), Excess> {
        self.charged += bytes;
        if self.charged > self.memory.rows { Err(self.too_much()) } else { Ok(()) }
    }

    #[cold]
    fn too_much(&self) -> Excess {
        Excess::Memory { limit: self.memory.total }
    }

    /// Begins to render something of any size to `out`; `end` is told what this gives.
    #[inline(always)]
    pub fn begin(&mut self, out: &ByteBuffer) -> usize {
        let left = self.memory.rows - self.charged.min(self.memory.rows);
        // A buffer beyond a chunk exists twice when it is moved, with a quarter of room.
        let most = if left <= 2 * CHUNK { left / 2 } else { CHUNK + (left - 2 * CHUNK) / 13 * 4 };
        self.most_len = out.len() + most;
        out.len()
    }

    /// Counts what was rendered.
    #[inline(always)]
    pub fn end(&mut self, out: &ByteBuffer, start: usize) -> Result<(), Excess> {
        let bytes = out.len() - start;
        // A finish brings chunks together, so for a moment text is there twice.
        self.charge(2 * bytes + bytes.saturating_sub(CHUNK) / 4 * 5)
    }

    /// Whether there is memory for what has been rendered since `begin`, and `more`.
    #[inline(always)]
    pub fn check_len(&self, out: &ByteBuffer, more: usize) -> Result<(), Excess> {
        if out.len() + more > self.most_len { Err(self.too_much()) } else { Ok(()) }
    }

    /// Adds an occurrence of a singular message field.
    #[inline(always)]
    pub fn merge<'a>(&mut self, message: &mut Message<'a>, bytes: &'a [u8]) -> Result<(), Excess> {
        if message.is_present() {
            self.parts += 1;
            if self.parts > MOST_PARTS {
                return Err(Excess::Parts { limit: MOST_PARTS });
            }
        }
        message.add(bytes);
        Ok(())
    }

    /// The payload from the beginning of one of its parts on: where a block may be read past
    /// the part's end.
    #[inline(always)]
    fn window(&self, part: &[u8]) -> &'p [u8] {
        let at = (part.as_ptr() as usize).wrapping_sub(self.payload.as_ptr() as usize);
        self.payload.get(at..).unwrap_or_default()
    }

    /// Passes over a field that has no place in the tables.
    #[inline(never)]
    pub fn skip_unknown(&mut self, cursor: &mut Cursor<'_>, tag: u32) -> Result<(), Fault> {
        self.notes.unknown_fields += 1;
        self.first_unknown.get_or_insert((cursor.address(), tag >> 3));
        cursor.skip(tag)
    }

    #[inline]
    pub fn push_text(&mut self, out: &mut ByteBuffer, bytes: &[u8]) -> Result<(), Excess> {
        let start = self.begin(out);
        if bytes.len() > LONG {
            self.check_len(out, text::text_len(bytes))?;
        }
        self.notes.replaced_text += text::push_text(out, bytes);
        self.end(out, start)
    }

    /// Appends a JSON string to what is being rendered.
    #[inline]
    pub fn push_json_string(&mut self, out: &mut ByteBuffer, bytes: &[u8]) -> Result<(), Excess> {
        if bytes.len() > LONG {
            self.check_len(out, text::json_string_len(bytes))?;
        }
        self.notes.replaced_text += text::push_json_string(out, bytes);
        Ok(())
    }

    /// Decides the `oneof` of an AnyValue, which stands inside `depth` arrays and lists.
    #[inline]
    pub fn read_any_value<'a>(
        &mut self,
        message: &Message<'a>,
        depth: usize,
    ) -> Result<Value<'a>, Fault> {
        let mut value = Value::Empty;
        for part in message.parts() {
            self.read_any_value_part(part, &mut value, depth)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn read_any_value_part<'a>(
        &mut self,
        part: &'a [u8],
        value: &mut Value<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut cursor = Cursor::new(part);
        while let Some(tag) = cursor.next_tag()? {
            let next = match tag {
                any_value::STRING_VALUE => Value::String(cursor.read_len()?),
                any_value::BOOL_VALUE => Value::Bool(cursor.read_varint()? != 0),
                any_value::INT_VALUE => Value::Int(cursor.read_varint()? as i64),
                any_value::DOUBLE_VALUE => Value::Double(cursor.read_double()?),
                any_value::BYTES_VALUE => Value::Bytes(cursor.read_len()?),
                any_value::ARRAY_VALUE => {
                    let bytes = cursor.read_len()?;
                    if let Value::Array(array) = value {
                        self.merge(array, bytes)?;
                        continue;
                    }
                    Value::Array(Message::one(bytes))
                }
                any_value::KVLIST_VALUE => {
                    let bytes = cursor.read_len()?;
                    if let Value::Kvlist(list) = value {
                        self.merge(list, bytes)?;
                        continue;
                    }
                    Value::Kvlist(Message::one(bytes))
                }
                any_value::STRING_VALUE_STRINDEX => {
                    cursor.read_varint()?;
                    self.notes.string_indices += 1;
                    Value::Empty
                }
                _ => {
                    self.skip_unknown(&mut cursor, tag)?;
                    continue;
                }
            };
            self.check_overwritten(value, depth)?;
            *value = next;
        }
        Ok(())
    }

    /// A `oneof` member that loses is not stored, but a request is well-formed as a whole or not.
    #[inline]
    fn check_overwritten(&self, value: &Value<'_>, depth: usize) -> Result<(), Fault> {
        let (descriptor, message) = match value {
            Value::Array(message) => (&ARRAY_VALUE, message),
            Value::Kvlist(message) => (&KEY_VALUE_LIST, message),
            _ => return Ok(()),
        };
        // Levels left below this array or list; none: it is too deep itself and not looked into.
        let Some(left) = self.limits.depth.checked_sub(depth + 1) else { return Ok(()) };
        for part in message.parts() {
            descriptors::check(descriptor, part, left).map_err(|broken| broken.fault)?;
        }
        Ok(())
    }

    /// Appends the JSON text of an AnyValue that stands inside `depth` arrays and lists.
    #[inline]
    pub fn push_any_value(
        &mut self,
        out: &mut ByteBuffer,
        message: &Message<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        let value = self.read_any_value(message, depth)?;
        self.push_value(out, &value, depth)
    }

    /// Appends the JSON text of a value that stands inside `depth` arrays and lists.
    pub fn push_value(
        &mut self,
        out: &mut ByteBuffer,
        value: &Value<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        match value {
            Value::String(bytes) => self.push_json_string(out, bytes)?,
            Value::Int(value) => text::push_int(out, *value),
            Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Double(value) => push_double(out, *value),
            Value::Bytes(bytes) => {
                self.check_len(out, bytes.len().div_ceil(3) * 4)?;
                out.extend_from_slice(b"{\"bytesValue\":");
                text::push_base64(out, bytes);
                out.push(b'}');
            }
            Value::Empty => out.extend_from_slice(b"null"),
            Value::Array(array) => self.push_array(out, array, depth)?,
            Value::Kvlist(list) => self.push_kvlist(out, list, depth)?,
        }
        Ok(())
    }

    fn enter(&self, message: &Message<'_>, depth: usize) -> Result<usize, Fault> {
        if depth < self.limits.depth {
            return Ok(depth + 1);
        }
        let bytes = message.parts().next().unwrap_or_default();
        Err(Fault::reject(bytes, Misfit::Depth))
    }

    fn push_array(
        &mut self,
        out: &mut ByteBuffer,
        array: &Message<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        let depth = self.enter(array, depth)?;
        let mut separator = b'[';
        for part in array.parts() {
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                if tag == array_value::VALUES {
                    let item = cursor.read_len()?;
                    self.check_len(out, 0)?;
                    out.push(separator);
                    separator = b',';
                    self.push_any_value(out, &Message::one(item), depth)?;
                } else {
                    self.skip_unknown(&mut cursor, tag)?;
                }
            }
        }
        if separator == b'[' {
            out.push(b'[');
        }
        out.push(b']');
        Ok(())
    }

    fn push_kvlist(
        &mut self,
        out: &mut ByteBuffer,
        list: &Message<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        let depth = self.enter(list, depth)?;
        let start = out.len();
        let mut pairs = 0_usize;
        let mut looks_like_marker = false;
        for part in list.parts() {
            let mut cursor = Cursor::new(part);
            while let Some(tag) = cursor.next_tag()? {
                if tag == key_value_list::VALUES {
                    self.check_len(out, 0)?;
                    out.push(if pairs == 0 { b'{' } else { b',' });
                    let key = self.push_key_value(out, cursor.read_len()?, depth)?;
                    pairs += 1;
                    looks_like_marker =
                        matches!(key, b"bytesValue" | b"doubleValue" | b"kvlistValue");
                } else {
                    self.skip_unknown(&mut cursor, tag)?;
                }
            }
        }
        if pairs == 0 {
            out.push(b'{');
        }
        out.push(b'}');
        // "a kvlist that is a value and whose only pair has the key bytesValue, doubleValue or
        // kvlistValue, whatever its value: wrapped", or it would read as one of our markers.
        if pairs == 1 && looks_like_marker {
            out.insert(start, b"{\"kvlistValue\":");
            out.push(b'}');
        }
        Ok(())
    }

    /// Appends `"key":value` and returns the key's bytes.
    fn push_key_value<'a>(
        &mut self,
        out: &mut ByteBuffer,
        bytes: &'a [u8],
        depth: usize,
    ) -> Result<&'a [u8], Fault> {
        let (key, value) = self.read_key_value(bytes)?;
        self.push_json_string(out, key)?;
        out.push(b':');
        self.push_any_value(out, &value, depth)?;
        Ok(key)
    }

    #[inline]
    pub fn read_key_value<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<(&'a [u8], Message<'a>), Fault> {
        let mut key: &[u8] = &[];
        let mut value = Message::default();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.next_tag()? {
            match tag {
                key_value::KEY => key = cursor.read_len()?,
                key_value::VALUE => self.merge(&mut value, cursor.read_len()?)?,
                key_value::KEY_STRINDEX => {
                    cursor.read_varint()?;
                    self.notes.string_indices += 1;
                }
                _ => self.skip_unknown(&mut cursor, tag)?,
            }
        }
        Ok((key, value))
    }

    /// Appends an attribute list as a JSON object; `owner` is the message whose list it is.
    #[inline]
    pub fn push_attributes(
        &mut self,
        out: &mut ByteBuffer,
        owner: &[u8],
        attributes: &Attributes<'_>,
    ) -> Result<(), Fault> {
        self.check_attributes(owner, attributes)?;
        let start = self.begin(out);
        let mut separator = b'{';
        for bytes in &attributes.list {
            if !push_usual_key_value(out, separator, bytes, self.window(bytes)) {
                self.check_len(out, 0)?;
                out.push(separator);
                self.push_key_value(out, bytes, 0)?;
            }
            separator = b',';
        }
        if attributes.count == 0 {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(self.end(out, start)?)
    }

    #[inline]
    pub fn check_attributes(&self, owner: &[u8], attributes: &Attributes<'_>) -> Result<(), Fault> {
        if attributes.count > self.limits.attributes {
            return Err(Fault::reject(owner, Misfit::Attributes(attributes.count)));
        }
        Ok(())
    }
}

/// "NaN, ±Infinity: `{"doubleValue":"NaN"}`"; any other double is a JSON number.
#[inline]
fn push_double(out: &mut ByteBuffer, value: f64) {
    if let Err(name) = text::push_double(out, value) {
        out.extend_from_slice(b"{\"doubleValue\":");
        out.extend_from_slice(name.as_bytes());
        out.push(b'}');
    }
}

/// The longest beginning of a KeyValue that is looked at as a whole: tags and lengths of key,
/// value and text, a key and a text of a block each.
const HEAD: usize = 6 + 2 * BLOCK;

/// Appends `"key":value` after a separator, if the KeyValue is of the usual form: key and value
/// in this order, the key at most a block long, the value a single scalar shorter than 128
/// bytes, the text plain ASCII. `window` reaches from the KeyValue to the end of the payload.
///
/// Nearly every attribute is. This is where most of the time goes, so the text is measured once
/// and written in place; anything else leaves no trace and takes the general way.
#[inline(always)]
fn push_usual_key_value(out: &mut ByteBuffer, separator: u8, bytes: &[u8], window: &[u8]) -> bool {
    const KEY: u8 = key_value::KEY as u8;
    const VALUE: u8 = key_value::VALUE as u8;
    const STRING: u8 = any_value::STRING_VALUE as u8;
    const BOOL: u8 = any_value::BOOL_VALUE as u8;
    const INT: u8 = any_value::INT_VALUE as u8;
    const DOUBLE: u8 = any_value::DOUBLE_VALUE as u8;
    /// Separator, key, quotes and colon; the text with its quotes, and the rest of its block.
    const ROOM: usize = 4 + BLOCK + 2 + 0x80 + BLOCK;
    // What is read here lies within the KeyValue or is not used: that it ends where it should is
    // compared once.
    let Some(head) = window.first_chunk::<HEAD>() else { return false };
    let key_len = usize::from(head[1]);
    if head[0] != KEY || key_len > BLOCK || head[2 + key_len] != VALUE {
        return false;
    }
    let value_len = usize::from(head[3 + key_len]);
    let value_at = 4 + key_len;
    if value_len >= 0x80 || bytes.len() != value_at + value_len {
        return false;
    }
    let to: &mut [u8; ROOM] = out.room();
    to[0] = separator;
    to[1] = b'"';
    let mut is_plain = copy_plain_block(block_at(to, 2), block_of(head, 2), key_len);
    to[key_len + 2] = b'"';
    to[key_len + 3] = b':';
    let at = key_len + 4;
    let text_len = usize::from(head[value_at + 1]);
    if head[value_at] == STRING && text_len + 2 == value_len {
        to[at] = b'"';
        if text_len <= BLOCK {
            is_plain &=
                copy_plain_block(block_at(to, at + 1), block_of(head, value_at + 2), text_len);
        } else {
            let text = &bytes[value_at + 2..];
            is_plain &= text::copy_plain_ascii(&mut to[at + 1..at + 1 + text_len], text);
        }
        to[at + 1 + text_len] = b'"';
        out.advance(if is_plain { at + text_len + 2 } else { 0 });
        return is_plain;
    }
    match &bytes[value_at..] {
        [INT, varint @ ..] => {
            let mut cursor = Cursor::new(varint);
            let Ok(value) = cursor.read_varint() else { return false };
            is_plain &= cursor.is_empty();
            if is_plain {
                out.advance(at);
                text::push_int(out, value as i64);
            }
            is_plain
        }
        [DOUBLE, double @ ..] => {
            let Ok(double) = double.try_into() else { return false };
            if is_plain {
                out.advance(at);
                push_double(out, f64::from_le_bytes(double));
            }
            is_plain
        }
        [BOOL, value @ (0 | 1)] => {
            if is_plain {
                out.advance(at);
                out.extend_from_slice(if *value == 1 { b"true" } else { b"false" });
            }
            is_plain
        }
        _ => false,
    }
}

/// The text of an AnyValue that is just a string.
#[inline(always)]
pub(crate) fn read_usual_string(bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(bytes);
    if cursor.next_tag().ok()? != Some(any_value::STRING_VALUE) {
        return None;
    }
    let text = cursor.read_len().ok()?;
    cursor.is_empty().then_some(text)
}
