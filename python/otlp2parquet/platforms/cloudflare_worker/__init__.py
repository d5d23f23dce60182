"""Cloudflare Workers: a Worker in Python that takes OTLP over HTTP and writes Parquet files to R2.

    settings     what the Worker's variables and secrets say
    bucket       the R2 binding: files are created whole, or not at all
    storing      the rows of a request become files in the bucket
    catalog      and files of Iceberg tables, where there is a catalog
    application  what becomes of each request
    entrypoint   the class that Cloudflare's runtime makes and calls

All but ``entrypoint`` run under any Python. Everything here, and everything that it imports, is
the standard library and this package: a Worker's bundle has nothing else. ``otlp2parquet deploy
cloudflare`` writes that bundle.
"""
