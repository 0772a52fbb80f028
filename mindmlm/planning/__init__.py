"""What a configuration means for cards: plans of the engine, bytes, times. No MindSpore in here."""
