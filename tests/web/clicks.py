"""What a browser says of a click within Mattermost."""

A_CLICK = {
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-user": "?1",
    "sec-fetch-site": "same-origin",
}
