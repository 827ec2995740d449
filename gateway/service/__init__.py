"""The journey of a message from the dot to the reply: what is known of it, and what becomes of it."""
