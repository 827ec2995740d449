"""Which rule speaks for a message: facts in, rulings out; values only, no input or output."""
