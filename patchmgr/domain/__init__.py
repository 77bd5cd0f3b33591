"""What the service exists for, as pure functions of values; time is always an argument."""
