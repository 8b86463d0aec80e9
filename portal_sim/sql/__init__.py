"""The portal's store in a database: SQLite where nothing is set up, PostgreSQL by its URL. Needs the extra `portal`."""
