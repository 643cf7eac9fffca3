"""One file per form of the database, oldest first; the newest is `schema.HEAD`."""
