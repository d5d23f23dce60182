"""The live view: what is being received, for whoever looks, and nothing while nobody does.

The use case tells a *watch* of each export that was kept and of each refusal. The watch is there
only while somebody looks, so that a request costs one test of an attribute otherwise. Behind it one
thread decodes what was kept a second time, puts the rows into a ring and gives each watcher what it
has not seen. Everything is bounded; what does not fit is left out of the view and counted, never of
the data. What fails here ends the view of an export, and no request.

    filters   which rows a watcher wants: what ``/live`` may be asked for
    rows      the body of an export as rows of JSON
    events    server-sent events: how rows, refusals and gaps are written
    ring      the recent events, by number, and how far a watcher has got
    view      ring and watchers in steps, without thread or clock
    intake    what requests leave for the thread, within bounds
    session   the thread, from the first watcher to the last
    tap       the watch, and who looks
    state     the numbers of the server, once a second
    stream    ``GET /live`` over ASGI
"""
