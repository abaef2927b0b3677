"""What `minigpt report` is made of: what the run folders say, what is tried now, what changed, the charts, the page."""
