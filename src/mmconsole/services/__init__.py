"""What an operator can do: one module per noun, one method per verb.

A noun that takes several modules is a folder; the module of its own name is its door.
"""
