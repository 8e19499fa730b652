"""The console: what an operator sees and presses. The only door to Textual."""
