"""The one training loop. Nothing here knows what people prefer."""
