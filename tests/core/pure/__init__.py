"""Tests of the decoder in plain Python: the same contract as the extension's."""
