"""What comes in over HTTP and goes out again. Each file is a blueprint: its views check a table and call a service."""
