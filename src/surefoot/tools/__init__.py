"""Tools: functions as tools, their schemas, sets of them, and structured answers."""
