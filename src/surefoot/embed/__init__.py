"""Texts to vectors: the packaged embedder (`minilm.MiniLM`), behind `core.ports.Embedder`."""
