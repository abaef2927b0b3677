"""A GPT and what it writes. Nothing here knows how it is trained."""
