"""Mail of the portal: letters, the postman who takes them to an SMTP server, and the bench's own inbox."""
