"""What administrators change on one machine holds on all that share its database (decision 31)."""
