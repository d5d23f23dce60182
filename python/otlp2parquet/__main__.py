"""``python -m otlp2parquet``: the command, where its script is not on the path."""

from otlp2parquet.cli import main

if __name__ == "__main__":
    main(prog_name="otlp2parquet")
