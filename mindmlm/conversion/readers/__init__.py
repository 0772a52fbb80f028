"""Readers: one a format. None needs the library that wrote the file, and none runs anything."""
