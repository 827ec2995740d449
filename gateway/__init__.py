"""A secure government email gateway: signs outbound mail, verifies inbound mail, and never loses either."""
