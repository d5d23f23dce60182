"""The batch: the unit of everything after the decode, from requests to stored files.

    request    one export request, and who is told what became of it
    shard      one builder and its lock
    batch      a batch, open and closed
    ingest     requests come in; what closes a batch
    log/       what keeps requests until their files are stored
    replay     from logged requests to rows again
    plan       which files a batch becomes, and their receipts, as records of the log
    planning   which file each row belongs into, given what was planned before
    states     batches on their way to storage, their files and steps, as data
    doubt      storages that failed: who asks them next
    schedule   which step of storing comes next
    storing    does the steps
    flushes    who waits until what was there when they asked is stored
    budget, counts, encoding   bytes, numbers, and a writer that is within the budget

A batch is buffered, logged, stored and forgotten as one. Knows the core and the writers'
protocol; must not know how or where files are written.
"""
