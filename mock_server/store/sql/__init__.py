"""The state in a database: SQLite or PostgreSQL. Imported only where one was chosen, since SQLAlchemy takes its time."""
