"""What identifies a result: all that determines it, as one fingerprint."""
