"""Suites as TOML files."""
