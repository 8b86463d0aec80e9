"""UDS servers: profiles, services, unlock schemes and grants, vehicle state."""
