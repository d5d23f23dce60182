"""Tests of the core: decoding, limits, encodings, answers, paths, without any I/O."""
