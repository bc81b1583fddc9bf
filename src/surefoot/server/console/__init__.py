"""The console: pages for people, rendered here, readable without script, kept live by one small script."""
