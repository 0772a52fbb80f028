"""The process: device, logs, files on disk."""
