"""Symbols to payload bytes and back: integer tables and the rANS coder."""
