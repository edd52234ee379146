"""Backup and restore: one archive of database and files, made and read while nothing is left half done.

The archive is a tar: `database.dump` (pg_dump, custom format), `files/KEY` for each stored file, and last
`manifest.json` with version, revision, time and a checksum of every member. One without a true manifest is refused
before anything is touched, and a restore is one transaction: it happens as a whole or not at all.
"""
