"""The page in the browser: what is received, as it comes, and what the server does with it.

One document, put together from the files in this folder: it loads nothing else, and its policy
lets it run nothing else and talk to nobody but this server. It reads ``/live``. The files are
plain HTML, CSS and JavaScript, one part each; the scripts share one scope, in this order:

    document  the files become one document, with its policy
    home      what ``/`` answers: the document, or an index of the endpoints

    base.js       elements and texts: what a sender wrote is text and never markup
    format.js     times, durations, numbers, attributes
    store.js      what was received lately, within bounds
    stream.js     ``/live`` by fetch: events, token, trying again
    list.js       lists of which the rows in sight are elements
    details.js    everything that a row says
    filters.js    severity, service, text
    logs.js, traces.js, waterfall.js, plots.js, metrics.js, server.js   the views
    page.js       which view is shown, keys, when to draw
"""
