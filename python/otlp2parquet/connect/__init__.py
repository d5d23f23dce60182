"""What makes programs of other people send to a server, and the proof that it works.

    recipes    what to set, for each program, as text to copy
    check      a record of each signal that is known again, and the files that have it
    grpc_call  one export over OTLP/gRPC

Knows the names that those programs' documentation gives. Must not know a terminal or settings.
"""
