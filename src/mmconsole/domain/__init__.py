"""What is true: frozen values and pure functions. No await, no clock, no I/O."""
