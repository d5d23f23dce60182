"""Whole lives of the batch layer in one process, under a scripted clock, scheduler, disk and store.

The code under test is the real one; only what it stands on is scripted. From one seed follow the
settings, the clients' requests, the order of all steps, and every fault. After each life the
ledger is drawn up: what was acknowledged is stored exactly once, what was refused is nowhere, and
whatever waits has something that will end its waiting.

``python -m tests.simulation SEED`` runs one seed again and prints its trace.
"""
