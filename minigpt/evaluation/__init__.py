"""Does it work? Knowledge, win rates, sentiment, and the report card."""
