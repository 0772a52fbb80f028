"""ELECTRA: an encoder that finds the tokens that a smaller one has replaced."""
