"""Settings: typed, strict, and every mistake of a file reported at once with its place."""
