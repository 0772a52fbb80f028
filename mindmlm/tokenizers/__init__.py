"""BERT's WordPiece tokenizer and the training of its vocabulary."""
