"""Telemetry on a terminal: what ``dev`` and ``tail`` print of the events of the live view.

Lines are made of parts, and whatever a sender wrote passes one place on its way to the screen
(``text``): no control character, and nothing that turns the direction of what follows, reaches it.

    text      what senders wrote as one safe line, cut to columns
    values    times, durations, numbers and attributes, for people
    sse       server-sent events out of chunks
    logs      a line for a log record
    traces    spans until their trace is shown, and the tree of one
    metrics   a line for a metric
    render    events of the live view as lines
    following  the live view of a server elsewhere, connected again
    show      events of the live view, printed
    screen    a stream to print to: colours, columns, or neither
"""
