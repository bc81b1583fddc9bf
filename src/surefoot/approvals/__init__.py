"""Who may decide what, and what may run without anybody deciding."""
