"""Mail: letters, their delivery, and the inbox of the bench."""
