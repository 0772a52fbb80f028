"""Other libraries that use what is here; none is imported before it is asked for."""
