"""Measurements run by hand; no test of `make test` depends on a time."""
