"""The log: what keeps requests between their acknowledgement and their files.

    record        the bytes of a segment
    segment       the log of one batch, as a file
    group_commit  one thread writes all segments; one sync serves all who wait for it
    folder        the folder of the segments: its owner, its node id, its quarantine
    space         how much room there is
    disk          the calls of a file system that all of this is made of
    none          the log that keeps nothing on a disk
    protocol      what a batch asks of either

Knows requests, plans and receipts as data; must not know builders, writers or threads that store.
"""
