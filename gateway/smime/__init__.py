"""S/MIME as mail uses it: what form a message has, how one is signed, and what may be said about a signature."""
