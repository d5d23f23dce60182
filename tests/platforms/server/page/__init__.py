"""The page in the browser: its document, what ``/`` answers, and the page in Chromium."""
