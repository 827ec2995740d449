"""Where responsibility changes hands: the hand-over at the dot, what it leaves in the spool, and what runs later."""
