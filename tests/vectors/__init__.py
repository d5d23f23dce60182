"""Cases with their outcome written down by hand, and the tests that hold both decoders to them.

``test_wire_traps`` is what protobuf allows and forbids, ``test_values`` the texts of values,
``test_rows`` where rows belong and what their columns say, ``test_tables`` the schemas and
their readers. The data files are the tables (``tables.txt``) and, for each signal, one request
in which every field of OTLP is set, with its rows (``every_field.*``).
"""
