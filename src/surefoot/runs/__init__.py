"""How runs come in and how the outside speaks to them, on any store."""
