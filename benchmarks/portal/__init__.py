"""The portal as a service under load, beside what bounds it: bare password hashes, and a bare FastAPI endpoint."""
