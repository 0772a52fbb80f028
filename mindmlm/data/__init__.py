"""From text files to masked batches; numpy only, no MindSpore."""
