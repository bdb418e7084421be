"""Domains: one folder per shop."""
