//! Exemplars as JSON text, in the OTLP/JSON form of the message.

use crate::columns::ByteBuffer;
use crate::error::{Fault, Misfit};
use crate::fields::{array_value, exemplar, key_value_list};
use crate::ids::given_id;
use crate::metrics::number::Number;
use crate::renderer::Renderer;
use crate::request::{Attributes, Request};
use crate::text;
use crate::value::Value;
use crate::wire::{Cursor, Message};

/// Appends an array of exemplars, of which there are some: "ids in hex, 64-bit integers and
/// non-finite doubles as strings, defaults left out", members in the order of their field numbers.
#[inline(never)]
pub(crate) fn push_exemplars<'a>(
    out: &mut ByteBuffer,
    request: &mut Request<'a>,
    exemplars: &[&'a [u8]],
) -> Result<(), Fault> {
    let mut attributes = Attributes::default();
    let start = request.renderer.begin(out);
    for (i, bytes) in exemplars.iter().enumerate() {
        request.renderer.check_len(out, 0)?;
        out.push(if i == 0 { b'[' } else { b',' });
        push_exemplar(out, &mut request.renderer, bytes, &mut attributes)?;
    }
    out.push(b']');
    Ok(request.renderer.end(out, start)?)
}

/// Opens an object's member: `{"name":` the first time, `,"name":` afterwards.
struct Object {
    separator: u8,
}

impl Object {
    fn new() -> Self {
        Self { separator: b'{' }
    }

    fn member(&mut self, out: &mut ByteBuffer, name: &str) {
        out.push(std::mem::replace(&mut self.separator, b','));
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    }

    fn end(self, out: &mut ByteBuffer) {
        if self.separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }
}

fn push_exemplar<'a>(
    out: &mut ByteBuffer,
    renderer: &mut Renderer,
    bytes: &'a [u8],
    attributes: &mut Attributes<'a>,
) -> Result<(), Fault> {
    let (mut time, mut value) = (0_u64, Number::Absent);
    let (mut span_id, mut trace_id): (&[u8], &[u8]) = (&[], &[]);
    attributes.clear();
    let mut cursor = Cursor::new(bytes);
    while let Some(tag) = cursor.next_tag()? {
        match tag {
            exemplar::TIME_UNIX_NANO => time = cursor.read_fixed64()?,
            exemplar::AS_DOUBLE => value = Number::Double(cursor.read_double()?),
            exemplar::AS_INT => value = Number::Int(cursor.read_fixed64()? as i64),
            exemplar::SPAN_ID => span_id = cursor.read_len()?,
            exemplar::TRACE_ID => trace_id = cursor.read_len()?,
            exemplar::FILTERED_ATTRIBUTES => {
                attributes.push(cursor.read_len()?, &renderer.limits);
            }
            _ => renderer.skip_unknown(&mut cursor, tag)?,
        }
    }
    let mut object = Object::new();
    if time != 0 {
        object.member(out, "timeUnixNano");
        text::push_int_string(out, time);
    }
    if let Number::Double(value) = value {
        object.member(out, "asDouble");
        push_double(out, value);
    }
    for (name, id) in [("spanId", given_id(span_id)), ("traceId", given_id(trace_id))] {
        if !id.is_empty() {
            object.member(out, name);
            out.push(b'"');
            text::push_hex(out, id);
            out.push(b'"');
        }
    }
    if let Number::Int(value) = value {
        object.member(out, "asInt");
        text::push_int_string(out, value);
    }
    if attributes.count() > 0 {
        renderer.check_attributes(bytes, attributes)?;
        object.member(out, "filteredAttributes");
        for (i, bytes) in attributes.list.iter().enumerate() {
            renderer.check_len(out, 0)?;
            out.push(if i == 0 { b'[' } else { b',' });
            push_key_value(out, renderer, bytes, 0)?;
        }
        out.push(b']');
    }
    object.end(out);
    Ok(())
}

fn push_double(out: &mut ByteBuffer, value: f64) {
    if let Err(name) = text::push_double(out, value) {
        out.extend_from_slice(name.as_bytes());
    }
}

fn push_key_value(
    out: &mut ByteBuffer,
    renderer: &mut Renderer,
    bytes: &[u8],
    depth: usize,
) -> Result<(), Fault> {
    let (key, value) = renderer.read_key_value(bytes)?;
    let value = renderer.read_any_value(&value, depth)?;
    let mut object = Object::new();
    if !key.is_empty() {
        object.member(out, "key");
        renderer.push_json_string(out, key)?;
    }
    if !matches!(value, Value::Empty) {
        object.member(out, "value");
        push_any_value(out, renderer, &value, depth)?;
    }
    object.end(out);
    Ok(())
}

/// Appends an AnyValue in its OTLP/JSON form, for example `{"intValue":"7"}`.
fn push_any_value(
    out: &mut ByteBuffer,
    renderer: &mut Renderer,
    value: &Value<'_>,
    depth: usize,
) -> Result<(), Fault> {
    let mut object = Object::new();
    match value {
        Value::Empty => {}
        Value::String(text) => {
            object.member(out, "stringValue");
            renderer.push_json_string(out, text)?;
        }
        Value::Bool(value) => {
            object.member(out, "boolValue");
            out.extend_from_slice(if *value { b"true" } else { b"false" });
        }
        Value::Int(value) => {
            object.member(out, "intValue");
            text::push_int_string(out, *value);
        }
        Value::Double(value) => {
            object.member(out, "doubleValue");
            push_double(out, *value);
        }
        Value::Bytes(bytes) => {
            object.member(out, "bytesValue");
            renderer.check_len(out, bytes.len().div_ceil(3) * 4)?;
            text::push_base64(out, bytes);
        }
        Value::Array(array) => {
            object.member(out, "arrayValue");
            push_values(
                out,
                renderer,
                array,
                array_value::VALUES,
                depth,
                |out, renderer, item, depth| {
                    let value = renderer.read_any_value(&Message::one(item), depth)?;
                    push_any_value(out, renderer, &value, depth)
                },
            )?;
        }
        Value::Kvlist(list) => {
            object.member(out, "kvlistValue");
            push_values(out, renderer, list, key_value_list::VALUES, depth, push_key_value)?;
        }
    }
    object.end(out);
    Ok(())
}

type PushItem = fn(&mut ByteBuffer, &mut Renderer, &[u8], usize) -> Result<(), Fault>;

/// Appends `{"values":[…]}`, or `{}` where there are none.
fn push_values(
    out: &mut ByteBuffer,
    renderer: &mut Renderer,
    list: &Message<'_>,
    values: u32,
    depth: usize,
    push_item: PushItem,
) -> Result<(), Fault> {
    if depth >= renderer.limits.depth {
        return Err(Fault::reject(list.parts().next().unwrap_or_default(), Misfit::Depth));
    }
    let mut is_first = true;
    for part in list.parts() {
        let mut cursor = Cursor::new(part);
        while let Some(tag) = cursor.next_tag()? {
            if tag == values {
                out.extend_from_slice(if is_first { b"{\"values\":[" } else { b"," });
                is_first = false;
                renderer.check_len(out, 0)?;
                push_item(out, renderer, cursor.read_len()?, depth + 1)?;
            } else {
                renderer.skip_unknown(&mut cursor, tag)?;
            }
        }
    }
    out.extend_from_slice(if is_first { b"{}" } else { b"]}" });
    Ok(())
}
