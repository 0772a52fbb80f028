"""What happens around steps, one callback a file."""
