"""Text becomes examples, ids and rows. Nothing here knows a network."""
