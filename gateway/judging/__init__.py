"""Judges inbound mail in processes that can be killed."""
