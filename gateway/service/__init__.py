"""The journey of a message: `intake` is the way from the dot to the reply, `dispatch` what runs later."""
