"""BERT's WordPiece and GPT-2's byte-level BPE, and the training of their vocabularies."""
