"""A throw-away province to try the gateway with: its certification authority, its agencies, and a play of real mail."""
