"""What is written down about each step: structured logs; never bodies, secrets or personal numbers."""
