"""What the service does by itself: which jobs there are, when they run, and who may run them."""
