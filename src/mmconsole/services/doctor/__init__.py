"""What can be wrong with an installation: looked at piece by piece, and told with its cure."""
