"""The decoder in plain Python: the same contract as the extension's, by the standard library alone.

For places where no wheel fits, and for WebAssembly. Its modules stand beside those of
``rust/core/src`` with the same names, where a file there says what OTLP or a table means; what is
there only for speed has no twin. It must not know pyarrow, files or clocks.

``schema``   the tables as plain data: what a decoder without Arrow, and a writer without, agree on
"""
