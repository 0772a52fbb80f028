"""Tasks: what the loss is and what is measured."""
