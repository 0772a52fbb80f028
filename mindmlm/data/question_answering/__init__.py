"""Extractive question answering: files, windows over long contexts, answers, how they are judged.

Answers are places in the context, given by character offsets; nothing here searches for a text.
"""
