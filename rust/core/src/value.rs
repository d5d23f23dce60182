//! AnyValue and attribute lists as JSON text (SCHEMA: "AnyValue as JSON text").

use crate::columns::ByteBuffer;
use crate::error::{Fault, Misfit};
use crate::fields::{
    ARRAY_VALUE, KEY_VALUE_LIST, any_value, array_value, key_value, key_value_list,
};
use crate::renderer::Renderer;
use crate::request::Attributes;
use crate::text;
use crate::usual::push_usual_key_value;
use crate::well_formed;
use crate::wire::{Cursor, Message};

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

impl Renderer<'_> {
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
            well_formed::check(descriptor, part, left).map_err(|broken| broken.fault)?;
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
        self.end_attributes(out, owner, attributes, out.len())
    }

    /// As `push_attributes`, of a list whose text begins at `start` and is partly there.
    #[inline(always)]
    pub fn end_attributes(
        &mut self,
        out: &mut ByteBuffer,
        owner: &[u8],
        attributes: &Attributes<'_>,
        start: usize,
    ) -> Result<(), Fault> {
        self.check_attributes(owner, attributes)?;
        self.begin_at(start);
        if attributes.list.is_empty() {
            // Two bytes either way, of which one may not count: nearly every record comes here.
            let is_empty = attributes.rendered == 0;
            *out.room() = if is_empty { *b"{}" } else { *b"}\0" };
            out.advance(1 + usize::from(is_empty));
            return Ok(self.end(out, start)?);
        }
        self.push_listed(out, attributes)?;
        Ok(self.end(out, start)?)
    }

    /// Appends the attributes of the list, and what ends it.
    #[inline(never)]
    fn push_listed(
        &mut self,
        out: &mut ByteBuffer,
        attributes: &Attributes<'_>,
    ) -> Result<(), Fault> {
        let mut separator = attributes.separator();
        for bytes in &attributes.list {
            if !push_usual_key_value(out, separator, bytes, self.window(bytes)) {
                self.check_len(out, 0)?;
                out.push(separator);
                self.push_key_value(out, bytes, 0)?;
            }
            separator = b',';
        }
        out.push(b'}');
        Ok(())
    }

    #[inline]
    pub fn check_attributes(&self, owner: &[u8], attributes: &Attributes<'_>) -> Result<(), Fault> {
        let count = attributes.count();
        if count > self.limits.attributes {
            return Err(Fault::reject(owner, Misfit::Attributes(count)));
        }
        Ok(())
    }
}

/// "NaN, ±Infinity: `{"doubleValue":"NaN"}`"; any other double is a JSON number.
#[inline]
pub(crate) fn push_double(out: &mut ByteBuffer, value: f64) {
    if let Err(name) = text::push_double(out, value) {
        out.extend_from_slice(b"{\"doubleValue\":");
        out.extend_from_slice(name.as_bytes());
        out.push(b'}');
    }
}
