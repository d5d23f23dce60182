"""The decoder in plain Python: the same contract as the extension's, by the standard library alone.

For places where no wheel fits, and for WebAssembly. Its modules stand beside those of
``rust/core/src`` with the same names, where a file there says what OTLP or a table means; what is
there only for speed has no twin. It must not know pyarrow (but ``batch``, inside of what needs it),
files or clocks.

Rows, counts, messages, errors and their places are the extension's. What differs: zstd is not read;
a batch has ``columns`` for who has no Arrow; a request's rows take up to five times the memory that
both decoders charge it with (``request``), and a builder is for one thread at a time.

    builder        requests in, batches out
    arguments      what callers give, checked
    inflate        content encodings undone
    request        one request while it is read: bounds, counts, fields in protobuf
    reading        how the fields of messages are read: the slots of their values
    walk           from a request down to its records
    owner          resources and scopes
    placing        the group of a service and hour
    records        records of a scope to rows: what logs and traces share
    logs           log records to rows
    traces         spans to rows
    metrics        data points to rows
    value          AnyValue and attributes as JSON text
    usual          a KeyValue as nearly every sender writes it
    text           UTF-8, JSON strings, doubles
    times          nanoseconds to microseconds
    enums          enums by their names
    otlp_json      JSON text to protobuf
    batch          rows as columns, and as Arrow
    explain        what a sender is told
    well_formed    whether bytes are a message, and where not
    error          what can go wrong, in words
    fields         the messages of OTLP
    wire           the protobuf cursor
    limits         the bounds
    schema         the tables as plain data: what a writer without Arrow agrees on
"""
