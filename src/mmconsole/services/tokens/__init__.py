"""Personal access tokens: made, repaired, rotated, revoked, and told whose they are."""
