"""The keys this gateway signs with: read and checked once, prepared, and never shown."""
