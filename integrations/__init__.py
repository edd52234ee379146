"""Every wire format and outside system: pure translations and clients, no database, no request."""
