"""What people want and what is asked for next: interest, definitions, slices, progress."""
