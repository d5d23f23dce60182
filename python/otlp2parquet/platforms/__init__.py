"""Where the pipeline runs: each platform translates its events to the core and back.

May import everything below it; nothing imports a platform but the command line.
"""
