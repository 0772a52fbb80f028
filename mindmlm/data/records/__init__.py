"""Rows on disk that other programs read too: TFRecord and MindRecord."""
