"""The tester's side: VCI drivers, diagnostic links, udsoncan connection, authenticator, tester."""
