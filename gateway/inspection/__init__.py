"""Other programs that look at what we made."""
