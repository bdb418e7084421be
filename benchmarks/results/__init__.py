"""Boards that ship with the package, one JSON file per suite."""
