"""Everything on this machine under one command: the embedded PostgreSQL and the supervised child processes."""
