"""Channels of the server: which one is meant, made, archived, joined, and kept beside the application's projects."""
