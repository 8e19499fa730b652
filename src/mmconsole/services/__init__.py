"""What an operator can do: one module per noun, one method per verb."""
