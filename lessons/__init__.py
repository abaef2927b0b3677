"""The lessons: one Markdown file each, whose code runs, and the tools that run and check them."""
