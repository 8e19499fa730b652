"""Keeps an application's users, their Mattermost accounts and their personal access tokens in step."""
