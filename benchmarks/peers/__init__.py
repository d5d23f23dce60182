"""Those who do the same or a part of it, one module each.

A library peer is a module with ``READERS``: signal -> function that takes a request's bytes
and does what it does with them. A program peer is a module with a class that starts it on a
free port of the loopback and says how its rows are counted; it is built or installed once into
the components' cache folder, by version.
"""
