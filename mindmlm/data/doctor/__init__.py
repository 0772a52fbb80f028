"""What is wrong with text files, found in one pass and bounded memory."""
