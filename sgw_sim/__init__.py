"""Security gateways: routing between buses, filter policy, brand profiles."""
