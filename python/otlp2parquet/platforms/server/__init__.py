"""The self-hosted server: an ASGI application, and Granian in this process to run it."""

from otlp2parquet.platforms.server.application import Application
from otlp2parquet.platforms.server.run import serve

__all__ = ["Application", "serve"]
