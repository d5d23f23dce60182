"""The batch: the unit of everything after the decode.

It is buffered, stored, committed and forgotten as one. Knows the core; must not know how or
where files are written.
"""
