"""Benchmarks: `make bench`, or `make bench T=topic`. A topic is a module here with `run() -> list[Result]`."""
