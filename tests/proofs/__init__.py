"""Proofs by load: rows in files are compared, exactly, with what clients saw acknowledged.

``make soak`` and ``make overload`` run the long forms; the tests run the same code for seconds.
"""
